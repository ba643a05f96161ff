import type { Operation, Status } from "../api/operation.ts";
import { keyOf } from "../kube/metadata.ts";
import type { Store } from "./store.ts";

interface Claim {
  /** The state that the write was decided on; the claim holds while the cache still shows that one. */
  readonly base: Operation;
  /** What the Operation is, or will be, once the write shows. */
  readonly claimed: Operation;
  /** The API server has confirmed the write; only its echo on the watch is missing. */
  readonly confirmed: boolean;
}

/**
 * Statuses that are being written, or were written but do not show on the watch yet. They count at once: of two Operations
 * that are decided in the same moment only one takes the last slot.
 */
export class Claims {
  readonly #claims = new Map<string, Claim>();

  constructor(operations: Store<Operation>) {
    operations.onChange((key, current) => {
      if (this.#claims.get(key)?.base !== current) this.#claims.delete(key);
    });
  }

  /** Notes a status before it is written. */
  begin(base: Operation, status: Status): void {
    this.#claims.set(keyOf(base), { base, claimed: { ...base, status }, confirmed: false });
  }

  /** The API server took it. */
  confirm(base: Operation, written: Operation): void {
    const key = keyOf(base);
    // Nothing changed, so the watch will say nothing; or it was quicker than the answer.
    if (written.metadata.resourceVersion === base.metadata.resourceVersion) this.#claims.delete(key);
    else if (this.#claims.get(key)?.base === base) this.#claims.set(key, { base, claimed: written, confirmed: true });
  }

  /** The API server refused it. After no answer at all a claim stays: it may have been written. */
  drop(base: Operation): void {
    if (this.#claims.get(keyOf(base))?.base === base) this.#claims.delete(keyOf(base));
  }

  /** The Operation as it is or will be. */
  current(operation: Operation): Operation {
    const claim = this.#claims.get(keyOf(operation));
    return claim?.base === operation ? claim.claimed : operation;
  }

  /** Whether a write is confirmed that the cache does not show: its echo will come, so there is nothing to decide yet. */
  awaitsEcho(operation: Operation): boolean {
    const claim = this.#claims.get(keyOf(operation));
    return claim?.base === operation && claim.confirmed;
  }
}
