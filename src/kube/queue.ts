import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { type Backoff, backoffDelay } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { ApiError, isConflict, isTransient } from "./errors.ts";

export interface QueueOptions {
  /** Does what is due for one key. Throwing means: again later. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  /** How many keys may be worked on at once. */
  readonly concurrency: number;
  /** The wait after failures of the same key in a row. */
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** So often work that waits for nothing may follow upon work before everything else has its turn: watches, probes, the Lease. */
const MAX_IN_A_ROW = 10;

/**
 * Keys waiting to be worked on: one entry per key (the earlier due time wins), never two workers on one key, a cap on all,
 * and a growing wait per key while its work fails.
 */
export class WorkQueue {
  readonly #options: QueueOptions;
  /** Key -> when it is due, in the clock's monotonic milliseconds. */
  readonly #due = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, number>();
  /** What was begun since everything else had its turn. */
  #inARow = 0;
  #wake = Promise.withResolvers<void>();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many keys wait, and how many are worked on now. */
  get size(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.#due.size, running: this.#running.size };
  }

  /** Asks for work on a key, `afterMs` from now. A key being worked on comes again once that is done. */
  add(key: string, { afterMs = 0 }: { afterMs?: number } = {}): void {
    const due = this.#options.clock.monotonic() + afterMs;
    if (due >= (this.#due.get(key) ?? Number.POSITIVE_INFINITY)) return;
    this.#due.set(key, due);
    this.#wake.resolve();
  }

  /** Works until the signal aborts, then waits for what is being worked on and starts nothing new. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, concurrency } = this.#options;
    const stop = () => this.#wake.resolve();
    signal.addEventListener("abort", stop);
    while (!signal.aborted) {
      if (this.#inARow >= MAX_IN_A_ROW) await nextTurn();
      this.#wake = Promise.withResolvers<void>();
      const next = this.#running.size < concurrency ? this.#earliest() : undefined;
      const waitMs = next === undefined ? undefined : next.due - clock.monotonic();
      if (next !== undefined && waitMs !== undefined && waitMs <= 0) this.#start(next.key, signal);
      else await this.#idle(waitMs);
    }
    signal.removeEventListener("abort", stop);
    await Promise.all(this.#running.values());
  }

  #earliest(): { key: string; due: number } | undefined {
    let earliest: { key: string; due: number } | undefined;
    for (const [key, due] of this.#due) {
      if (this.#running.has(key)) continue;
      if (earliest === undefined || due < earliest.due) earliest = { key, due };
    }
    return earliest;
  }

  /** Waits until something changes, at most so long. */
  async #idle(waitMs: number | undefined): Promise<void> {
    if (waitMs === undefined) return await this.#wake.promise;
    const timer = new AbortController();
    // Aborted below when something else comes first.
    const due = this.#options.clock.sleep(waitMs, timer.signal).catch(() => undefined);
    await Promise.race([due, this.#wake.promise]);
    timer.abort();
  }

  #start(key: string, signal: AbortSignal): void {
    this.#due.delete(key);
    if (this.#inARow === 0) setImmediate(() => (this.#inARow = 0));
    this.#inARow += 1;
    const running = this.#attempt(key, signal).finally(() => {
      this.#running.delete(key);
      this.#wake.resolve();
    });
    this.#running.set(key, running);
  }

  async #attempt(key: string, signal: AbortSignal): Promise<void> {
    const { work, backoff, logger } = this.#options;
    try {
      await work(key, signal);
      this.#failures.delete(key);
    } catch (error) {
      if (signal.aborted) return;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
      const afterMs = Math.max(asked, backoffDelay(failures, backoff, Math.random()));
      this.add(key, { afterMs });
      const expected = isTransient(error) || isConflict(error);
      logger[expected ? "warn" : "error"](
        { err: error, object: key, failures, afterMs },
        "work failed, will try again",
      );
    }
  }
}
