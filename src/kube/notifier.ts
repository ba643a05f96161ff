import type { Clock } from "./clock.ts";

/**
 * Wakes a loop that waits for changes. Any number of notifications while the loop is busy count as one: the loop then
 * reads the newest state.
 */
export class Notifier {
  readonly #clock: Clock;
  #isNotified = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(): void {
    this.#isNotified = true;
    this.#wake?.();
  }

  /**
   * Resolves once there was a notification since the last call, or after `withinMs` milliseconds (at once for 0 or
   * less).
   */
  async notified(withinMs?: number): Promise<void> {
    if (!this.#isNotified) {
      const notified = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (withinMs === undefined) await notified;
      else await this.#either(notified, withinMs);
      this.#wake = undefined;
    }
    this.#isNotified = false;
  }

  async #either(notified: Promise<void>, withinMs: number): Promise<void> {
    const over = new AbortController();
    // The sleep rejects when it is aborted because it is no longer needed: that is no error.
    const late = this.#clock.sleep(withinMs, over.signal).catch(() => undefined);
    await Promise.race([notified, late]);
    over.abort(NO_LONGER_NEEDED);
  }
}

/** Made once: each DOMException that a plain abort makes costs more than the wait. */
const NO_LONGER_NEEDED = new Error("no longer needed");
