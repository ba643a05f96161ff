import type { WaitingPoint } from "../../bench/figures.ts";
import type { Report } from "../../bench/report.ts";

/** A point at which everything is in proportion to the number. */
export function waitingPoint(waiting: number, change: Partial<WaitingPoint> = {}): WaitingPoint {
  return {
    waiting,
    ended: waiting,
    endedPerSecond: 50,
    createdPerSecond: 200,
    ceilingPerSecond: 60,
    firstJobMs: 800,
    cpuMsPerOperation: 4.2,
    peakMB: 90,
    lagP99Ms: 20,
    lagWorstMs: 60,
    ...change,
  };
}

export function report(change: Partial<Report> = {}): Report {
  return {
    circumstances: {
      commit: "abc1234",
      at: "2026-01-01T00:00:00.000Z",
      quick: false,
      took: "9 min 30 s",
      machine: { cpu: "Some CPU", cores: 2, memoryMB: 24_000, kernel: "6.1", node: "v24.0.0" },
      load: { before: 0.1, after: 3.456 },
    },
    sections: [],
    waiting: [],
    ...change,
  };
}
