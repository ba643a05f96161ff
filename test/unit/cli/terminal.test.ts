import { expect, test } from "vitest";
import { isColored } from "../../../src/cli/terminal.ts";

// no-color.org: only a value that is not empty counts.
test.each<["auto" | "always" | "never", NodeJS.ProcessEnv, boolean, boolean]>([
  ["auto", {}, true, true],
  ["auto", {}, false, false],
  ["auto", { NO_COLOR: "1" }, true, false],
  ["auto", { NO_COLOR: "" }, true, true],
  ["auto", { TERM: "dumb" }, true, false],
  ["always", { NO_COLOR: "1" }, false, true],
  ["never", {}, true, false],
])("--color=%s, environment %o, terminal %s: colours %s", (choice, env, isTerminal, colored) => {
  expect(isColored(choice, env, isTerminal)).toBe(colored);
});
