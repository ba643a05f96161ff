import type { Clock } from "../../../src/kube/clock.ts";

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** A clock that stands still until told to move on. */
export class FakeClock implements Clock {
  #ms = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.#ms);
  }

  monotonic(): number {
    return this.#ms;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { due: this.#ms + ms, wake: resolve };
    const abort = () => reject(signal?.reason);
    this.#sleepers.add(sleeper);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** How many are asleep. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Moves on, waking sleepers in the order in which they are due and letting each act before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#ms + ms;
    await settled();
    for (;;) {
      const next = this.#first();
      if (next === undefined || next.due > end) break;
      this.#ms = Math.max(this.#ms, next.due);
      this.#sleepers.delete(next);
      next.wake();
      await settled();
    }
    this.#ms = end;
    await settled();
  }

  #first(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) if (first === undefined || sleeper.due < first.due) first = sleeper;
    return first;
  }
}

/** Lets everything run that needs no further event from outside, also what lets everything else have its turn first. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
