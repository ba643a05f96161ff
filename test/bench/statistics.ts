/** What is said of a row of samples. */
export interface Summary {
  readonly median: number;
  readonly p95: number;
  readonly lowest: number;
  readonly highest: number;
  readonly count: number;
}

/**
 * The value below which `share` (0 to 1) of the samples lie, between two of them in proportion; NaN where there are none.
 */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** Undefined where there are no samples. */
export function summarize(samples: readonly number[]): Summary | undefined {
  if (samples.length === 0) return undefined;
  return {
    median: quantile(samples, 0.5),
    p95: quantile(samples, 0.95),
    lowest: Math.min(...samples),
    highest: Math.max(...samples),
    count: samples.length,
  };
}

/**
 * How many times as large one sample is as the other that was taken in the same round: what slows the machine down for a
 * while slows both, and leaves their ratio as it is. A round that lacks either is left out.
 */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.flatMap((value, round) => {
    const peer = theirs[round];
    return peer === undefined || peer === 0 ? [] : [value / peer];
  });
}

/** By how much one sample is more than the other that was taken in the same round. */
export function pairedDifferences(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.flatMap((value, round) => {
    const peer = theirs[round];
    return peer === undefined ? [] : [value - peer];
  });
}
