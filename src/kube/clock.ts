import { setTimeout as delay } from "node:timers/promises";

/** The time that the program sees; tests have clocks of their own. */
export interface Clock {
  /** Wall-clock time, for timestamps that others read. */
  now(): Date;
  /** Milliseconds since an arbitrary start, never set back: for durations and deadlines. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds, none where the moment has passed; rejects with the signal's reason once that aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  // Not `performance`: Node takes longer to load it than to send the first request.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  async sleep(ms, signal) {
    try {
      await delay(Math.max(0, ms), undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // Node rejects with its own AbortError; callers expect the reason that they gave.
      signal?.throwIfAborted();
      throw error;
    }
  },
};
