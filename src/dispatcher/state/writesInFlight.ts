import type { Operation, Status } from "../../api/operation.ts";

interface WriteInFlight {
  /** What the Operation is, or will be, once the write shows. */
  readonly expected: Operation;
  /** The API server has confirmed the write; only its echo on the watch is missing. */
  readonly confirmed: boolean;
}

/**
 * Statuses that are being written, or were written but do not show on the watch yet. They count at once: of two Operations
 * that are decided in the same moment only one takes the last slot. Each is on one state of an Operation, as the
 * cache has it, and is forgotten with that state.
 */
export class WritesInFlight {
  readonly #writes = new WeakMap<Operation, WriteInFlight>();
  readonly #onChange: (base: Operation) => void;

  /** @param onChange told of each Operation that others may now be decided upon anew */
  constructor(onChange: (base: Operation) => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Notes a status before it is written. */
  begin(base: Operation, status: Status): void {
    this.#writes.set(base, { expected: { ...base, status }, confirmed: false });
    this.#onChange(base);
  }

  /** The API server took it. */
  confirm(base: Operation, written: Operation): void {
    // Where nothing changed, the watch will say nothing either.
    if (written.metadata.resourceVersion === base.metadata.resourceVersion) this.#writes.delete(base);
    else this.#writes.set(base, { expected: written, confirmed: true });
    this.#onChange(base);
  }

  /**
   * The API server refused it, or it is not wanted any more. After no answer at all it stays: it may have been written.
   */
  drop(base: Operation): void {
    if (this.#writes.delete(base)) this.#onChange(base);
  }

  /** The Operation as it is or will be. */
  current(operation: Operation): Operation {
    return this.#writes.get(operation)?.expected ?? operation;
  }

  /** Whether a write is confirmed that the cache does not show: its echo will come, so there is nothing to decide yet. */
  awaitsEcho(operation: Operation): boolean {
    return this.#writes.get(operation)?.confirmed ?? false;
  }
}
