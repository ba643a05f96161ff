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
      const over = new AbortController();
      const notified = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      // The sleep rejects when it is aborted because it is no longer needed: that is no error.
      const late = withinMs === undefined ? [] : [this.#clock.sleep(withinMs, over.signal).catch(() => undefined)];
      await Promise.race([notified, ...late]);
      over.abort();
      this.#wake = undefined;
    }
    this.#isNotified = false;
  }
}
