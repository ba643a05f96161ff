import type { Operation, Status } from "../../api/operation.ts";

interface WriteInFlight {
  /** The Operation as the watch will show it after the write. */
  readonly expected: Operation;
  /** Whether the API server has confirmed the write, so that only its echo on the watch is missing. */
  readonly confirmed: boolean;
}

/**
 * Statuses that are being written, or were written but have not come back on the watch yet. They count at once, so that of two
 * Operations that are decided at the same moment only one takes the last slot. Each write belongs to one state of an Operation in
 * the cache, and is forgotten when the watch replaces that state.
 */
export class WritesInFlight {
  readonly #writes = new WeakMap<Operation, WriteInFlight>();
  readonly #onChange: (base: Operation) => void;

  /** @param onChange called with each Operation whose write may change the decisions about others */
  constructor(onChange: (base: Operation) => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Records a status just before it is written. */
  begin(base: Operation, status: Status): void {
    this.#writes.set(base, { expected: { ...base, status }, confirmed: false });
    this.#onChange(base);
  }

  /** Records that the API server has accepted the write. */
  confirm(base: Operation, written: Operation): void {
    // If the write changed nothing, no echo will come.
    if (written.metadata.resourceVersion === base.metadata.resourceVersion) this.#writes.delete(base);
    else this.#writes.set(base, { expected: written, confirmed: true });
    this.#onChange(base);
  }

  /**
   * Forgets a write that the API server refused, or that is no longer wanted. A write without an answer is kept until then, since
   * it may have succeeded.
   */
  drop(base: Operation): void {
    if (this.#writes.delete(base)) this.#onChange(base);
  }

  /** The Operation with its write in flight, if there is one. */
  current(operation: Operation): Operation {
    return this.#writes.get(operation)?.expected ?? operation;
  }

  /** Whether the cache does not show a confirmed write yet. Its echo will come, so there is nothing to decide until then. */
  awaitsEcho(operation: Operation): boolean {
    return this.#writes.get(operation)?.confirmed ?? false;
  }
}
