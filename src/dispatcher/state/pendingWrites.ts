import type { Operation, Status } from "../../api/operation.ts";

interface Claim {
  /** What the Operation is, or will be, once the write shows. */
  readonly claimed: Operation;
  /** The API server has confirmed the write; only its echo on the watch is missing. */
  readonly confirmed: boolean;
}

/**
 * Statuses that are being written, or were written but do not show on the watch yet. They count at once: of two Operations
 * that are decided in the same moment only one takes the last slot. Each claim is on one state of an Operation, as the
 * cache has it, and is forgotten with that state.
 */
export class Claims {
  readonly #claims = new WeakMap<Operation, Claim>();

  /** Notes a status before it is written. */
  begin(base: Operation, status: Status): void {
    this.#claims.set(base, { claimed: { ...base, status }, confirmed: false });
  }

  /** The API server took it. */
  confirm(base: Operation, written: Operation): void {
    // Where nothing changed, the watch will say nothing either.
    if (written.metadata.resourceVersion === base.metadata.resourceVersion) this.#claims.delete(base);
    else this.#claims.set(base, { claimed: written, confirmed: true });
  }

  /**
   * The API server refused it, or it is not wanted any more. After no answer at all a claim stays: it may have been written.
   *
   * @returns whether there was a claim, on which others may have been decided
   */
  drop(base: Operation): boolean {
    return this.#claims.delete(base);
  }

  /** The Operation as it is or will be. */
  current(operation: Operation): Operation {
    return this.#claims.get(operation)?.claimed ?? operation;
  }

  /** Whether a write is confirmed that the cache does not show: its echo will come, so there is nothing to decide yet. */
  awaitsEcho(operation: Operation): boolean {
    return this.#claims.get(operation)?.confirmed ?? false;
  }
}
