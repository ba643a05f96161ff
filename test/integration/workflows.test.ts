import { expect, test } from "vitest";
import { run } from "../cluster/run.ts";
import { ensurePrograms } from "../cluster/toolchain/toolchain.ts";

test("actionlint finds nothing wrong with the workflows", async () => {
  const { actionlint } = await ensurePrograms(["actionlint"], { env: process.env, progress: console.error });
  // Without what else it would find in PATH, and not everywhere.
  const result = await run(actionlint, ["-shellcheck=", "-pyflakes="], { env: process.env });
  expect(result, result.stdout).toMatchObject({ code: 0 });
});
