/** Bounds of a growing wait, in milliseconds. */
export interface Backoff {
  /** The first wait. */
  readonly minMs: number;
  /** No wait is longer. */
  readonly maxMs: number;
}

/**
 * How long to wait after the n-th failure in a row (1, 2, ...), in milliseconds. It doubles from minMs to maxMs; up to
 * half of it is taken off at random, so that many clients that failed together do not come back together.
 *
 * @param random a number in [0, 1)
 */
export function backoffDelay(failures: number, { minMs, maxMs }: Backoff, random: number): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random / 2);
}
