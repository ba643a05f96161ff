import { pairedRatios } from "./statistics.ts";

/** "x" is a ratio; "" a plain count. */
export type Unit = "ms" | "s" | "MB" | "/s" | "x" | "";

/** One thing that was measured, with every sample of it in the order in which they were taken. */
export interface Figure {
  readonly what: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  /** What the project wants it to be, in words. No run fails over it. */
  readonly goal?: string;
  /** What has to be known to read it right, such as that a time was cut off. */
  readonly note?: string;
}

/** Figures that were taken together. */
export interface Section {
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** What the dispatcher alone does with so many Operations waiting. */
export interface WaitingPoint {
  readonly waiting: number;
  /** Fewer than waited where it was cut off. */
  readonly ended: number;
  readonly endedPerSecond: number;
  /** By the API server itself: Operations, while nothing else was asked of it. */
  readonly createdPerSecond: number;
  /** What the API server takes of the writes that each Operation needs, from a program that does nothing else. */
  readonly ceilingPerSecond: number;
  readonly firstJobMs: number;
  readonly cpuMsPerOperation: number;
  readonly peakMB: number;
  readonly lagP99Ms: number;
  readonly lagWorstMs: number;
}

/** The ratio of two figures that were taken in the same rounds. */
export function ratio(what: string, ours: Figure, theirs: Figure, goal?: string): Figure {
  const samples = pairedRatios(ours.samples, theirs.samples);
  return { what, unit: "x", samples, ...(goal !== undefined && { goal }) };
}
