import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { type Backoff, backoffDelay } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { ApiError, isConflict, isTransient } from "./errors.ts";
import { Heap } from "./heap.ts";
import { Notifier } from "./notifier.ts";

export interface QueueOptions {
  /** Does what is due for one key. If it throws, the queue calls it again later. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  /** How many keys may be worked on at once. */
  readonly concurrency: number;
  /** The pause after failures of the same key in a row. */
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * For how long, and for how many keys, work may go on without giving everything else a turn: watches, probes, the
 * Lease.
 */
const SLICE_MS = 10;
const MAX_IN_A_ROW = 50;

/** A key, and when it is due. */
interface Entry {
  readonly key: string;
  /** In the clock's monotonic milliseconds. */
  readonly due: number;
  readonly urgent: boolean;
  readonly number: number;
}

/**
 * Keys that wait for work: one entry per key (the earlier due time wins), never two workers on one key, a limit for all
 * workers, and a growing pause per key while its work fails. Urgent keys come before all others that are due. However
 * many keys wait, the next one is found at once.
 */
export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #entries = new Map<string, Entry>();
  /** Both heaps may hold outdated entries, whose key has a newer entry by now. */
  readonly #later = new Heap<Entry>((a, b) => isEarlier(a, b));
  readonly #due = new Heap<Entry>((a, b) => (a.urgent === b.urgent ? isEarlier(a, b) : a.urgent));
  readonly #running = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, number>();
  #added = 0;
  /** How many keys were begun since everything else had its turn, and when the first of them was. */
  #inARow = 0;
  #sliceBegan = 0;
  readonly #changed: Notifier;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#changed = new Notifier(options.clock);
  }

  /** How many keys wait, and how many are worked on now. */
  get size(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.#entries.size, running: this.#running.size };
  }

  /** For how long the entry that waits longest has been due, in milliseconds; 0 while none is. */
  get oldestDueMs(): number {
    const now = this.#options.clock.monotonic();
    let oldest = now;
    for (const { due } of this.#entries.values()) oldest = Math.min(oldest, due);
    return now - oldest;
  }

  /** Asks for work on a key, `afterMs` from now. If the key is being worked on, it waits until that is done. */
  add(key: string, { afterMs = 0, urgent = false }: { afterMs?: number; urgent?: boolean } = {}): void {
    const due = this.#options.clock.monotonic() + afterMs;
    const last = this.#entries.get(key);
    if (last !== undefined && due >= last.due && (last.urgent || !urgent)) return;
    const entry = {
      key,
      due: Math.min(due, last?.due ?? due),
      urgent: urgent || (last?.urgent ?? false),
      number: this.#added,
    };
    this.#added += 1;
    this.#entries.set(key, entry);
    this.#later.push(entry);
    this.#changed.notify();
  }

  /** Works until the signal aborts; then starts nothing new, and waits for the work that is under way. */
  async run(signal: AbortSignal): Promise<void> {
    const { concurrency } = this.#options;
    const stop = () => this.#changed.notify();
    signal.addEventListener("abort", stop);
    while (!signal.aborted) {
      if (this.#isSliceOver()) await nextTurn();
      const next = this.#running.size < concurrency ? this.#next() : undefined;
      if (next !== undefined) this.#start(next.key, signal);
      else await this.#idle(this.#running.size < concurrency ? this.#later.peek() : undefined);
    }
    signal.removeEventListener("abort", stop);
    await Promise.all(this.#running.values());
  }

  #isSliceOver(): boolean {
    if (this.#inARow === 0) return false;
    return this.#inARow >= MAX_IN_A_ROW || this.#options.clock.monotonic() - this.#sliceBegan >= SLICE_MS;
  }

  /** Takes out the key that is next. */
  #next(): Entry | undefined {
    const now = this.#options.clock.monotonic();
    for (let first = this.#later.peek(); first !== undefined && first.due <= now; first = this.#later.peek()) {
      this.#later.pop();
      if (this.#isCurrent(first)) this.#due.push(first);
    }
    for (let first = this.#due.pop(); first !== undefined; first = this.#due.pop()) {
      // A key that is being worked on comes back when that is done.
      if (!this.#isCurrent(first) || this.#running.has(first.key)) continue;
      this.#entries.delete(first.key);
      return first;
    }
    return undefined;
  }

  #isCurrent(entry: Entry): boolean {
    return this.#entries.get(entry.key) === entry;
  }

  /** Waits until something changes, at most until `next` is due. */
  async #idle(next: Entry | undefined): Promise<void> {
    await this.#changed.notified(next && next.due - this.#options.clock.monotonic());
  }

  #start(key: string, signal: AbortSignal): void {
    if (this.#inARow === 0) {
      this.#sliceBegan = this.#options.clock.monotonic();
      setImmediate(() => (this.#inARow = 0));
    }
    this.#inARow += 1;
    const running = this.#attempt(key, signal).finally(() => {
      this.#running.delete(key);
      const again = this.#entries.get(key);
      if (again !== undefined) this.#later.push(again);
      this.#changed.notify();
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

function isEarlier(a: Entry, b: Entry): boolean {
  return a.due < b.due || (a.due === b.due && a.number < b.number);
}
