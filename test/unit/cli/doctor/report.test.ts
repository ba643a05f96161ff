import { expect, test } from "vitest";
import { examine } from "../../../../src/cli/doctor/checks.ts";
import { report } from "../../../../src/cli/verbs/doctor.ts";
import { healthy, seen } from "./healthy.ts";

const base = healthy();

test("finds nothing where everything is all right", () => {
  const findings = examine(healthy(), { before: false });
  expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
  expect(findings.length).toBeGreaterThan(10);
  expect(examine(healthy(), { before: true }).every(({ level }) => level === "ok")).toBe(true);
});

test("skips what may not be seen, and says so", () => {
  const blind = { ok: false, why: "no right to see it" } as const;
  const findings = examine({ ...base, backups: blind, lease: blind }, { before: false });
  expect(findings.filter(({ level }) => level !== "ok").map(({ check, level }) => `${check} ${level}`)).toEqual([
    "lease skipped",
    "leftovers skipped",
  ]);
});

test("reports a line for each, with what to do below it, and counts them", () => {
  const findings = examine({ ...base, lease: seen(undefined) }, { before: false });
  const lines = report(findings, (_, text) => text);
  const at = lines.findIndex((line) => line.startsWith("problem"));
  expect(lines[at]).toMatch(/^problem {2}lease +nobody holds the Lease/);
  expect(lines[at + 1]).toMatch(/^ {9}to do: see whether the dispatcher runs/);
  expect(lines.at(-1)).toBe("1 problems, 0 warnings, 12 ok, 0 skipped");
});
