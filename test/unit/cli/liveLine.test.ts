import { describe, expect, test } from "vitest";
import { liveLine, sampled } from "../../../src/cli/liveLine.ts";
import { situationOf } from "../../../src/cli/situation.ts";
import { operation } from "../runner/operations.ts";

const MiB = 1024 * 1024;
const running = operation("Backup", {
  status: {
    phase: "Running",
    startedAt: "2026-01-01T00:00:00Z",
    conditions: [
      {
        type: "Running",
        status: "True",
        reason: "VeleroBackupInProgress",
        message: "",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
    progress: {
      itemsCompleted: 120,
      itemsTotal: 300,
      bytesCompleted: 100 * MiB,
      bytesTotal: 300 * MiB,
      percent: 45,
    },
  },
});
const now = new Date("2026-01-01T00:01:05Z");
const samples = [
  { at: 0, bytes: 0 },
  { at: 10_000, bytes: 100 * MiB },
];

function line(columns: number) {
  return liveLine(running, situationOf(running), { samples, at: 10_000, now, columns });
}

describe("the line of progress", () => {
  test("tells items, bytes, rate and the time that is left", () => {
    expect(line(200)).toBe(
      "b1  Running  45 %  120 of 300 items  100.0 MiB of 300.0 MiB  10.0 MiB/s  ETA 20s  65s  VeleroBackupInProgress",
    );
  });

  test.each([110, 80, 60, 40, 20, 10, 8, 4, 1])("fits into %d columns, and has the state first of all", (columns) => {
    const text = line(columns);
    expect(text.length).toBeLessThan(columns);
    if (columns > 8) expect(text).toContain("Running");
  });

  test("leaves out what nobody knows", () => {
    const fresh = operation("Backup");
    const text = liveLine(fresh, situationOf(fresh), { samples: [], at: 0, now, columns: 80 });
    expect(text).toBe("b1  New  65s");
  });
});

describe("the rate", () => {
  test("is that of the last half minute", () => {
    const all = sampled(
      [{ at: 0, bytes: 0 }, ...sampled([], { bytesCompleted: 5 }, 20_000)],
      { bytesCompleted: 9 },
      31_000,
    );
    expect(all).toEqual([
      { at: 20_000, bytes: 5 },
      { at: 31_000, bytes: 9 },
    ]);
  });

  test("begins anew with another attempt", () => {
    expect(sampled([{ at: 0, bytes: 100 }], { bytesCompleted: 3 }, 1000)).toEqual([{ at: 1000, bytes: 3 }]);
  });

  test("needs bytes", () => {
    expect(sampled([], {}, 1000)).toEqual([]);
  });
});
