import type { Run, TargetCoverage } from "../../../src/cli/coverage.ts";

export const now = new Date("2026-01-15T12:00:00Z");
const HOUR = 3_600_000;

/** One that ended so many hours before {@link now}. */
export function run(hoursAgo: number, more: Partial<Run> = {}): Run {
  const finishedAt = new Date(now.getTime() - hoursAgo * HOUR).toISOString();
  const common = { operation: `shop-${hoursAgo}`, type: "Backup", state: "Succeeded", why: "", usable: true } as const;
  return {
    ...common,
    startedAt: finishedAt,
    finishedAt,
    seconds: 60 + hoursAgo,
    sizeBytes: 1e9 - hoursAgo * 1e6,
    ...more,
  };
}

const runs = [
  run(300),
  run(200, { state: "Degraded", why: "PartialFailure: 1 error" }),
  run(100, { type: "Restore", operation: "back" }),
  run(30, { state: "Failed", why: "RunnerFailed: no space", usable: false }),
  run(5),
];
export const targets: TargetCoverage[] = [
  {
    namespace: "org-a",
    target: "shop",
    flaws: [],
    lastBackup: run(5),
    lastRestore: run(100, { type: "Restore" }),
    runs,
  },
  { namespace: "org-b", target: "wiki", flaws: ["Never"], runs: [] },
];
