import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CHECKS } from "../../../../src/cli/doctor/finding.ts";

test.each(CHECKS)("the runbook says more about what doctor finds wrong with %s", (check) => {
  expect(readFileSync("docs/runbook.md", "utf8")).toContain(`\n### doctor ${check}\n`);
});
