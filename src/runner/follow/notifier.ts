import type { Clock } from "../../kube/clock.ts";

/** Wakes the one who waits for it. Any number of rings while nobody waits are one: what is new is read afterwards. */
export class Notifier {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves once it was rung since the last time, or after so many milliseconds; at once for 0 and less. */
  async notified(withinMs?: number): Promise<void> {
    if (!this.#rung) {
      const over = new AbortController();
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      // The sleep is ended when it is no longer needed: that it then rejects says nothing.
      const late = withinMs === undefined ? [] : [this.#clock.sleep(withinMs, over.signal).catch(() => undefined)];
      await Promise.race([rung, ...late]);
      over.abort();
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
