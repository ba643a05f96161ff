import { attemptOf, isTerminal, type VeleroOperation } from "../api/operation.ts";
import { isAdmitted } from "../api/status.ts";

/**
 * The Operation as a run last saw or wrote it, so that a status need not be read before each write. It may be out of date:
 * only a write at its resourceVersion shows that it is not.
 */
export class LatestOperation {
  #operation: VeleroOperation | undefined;

  /** The Operation, if this attempt was under way; undefined also when it was not seen since {@link forget}. */
  of({ uid, attempt }: { readonly uid: string; readonly attempt: number }): VeleroOperation | undefined {
    const operation = this.#operation;
    if (operation?.metadata.uid !== uid || operation.metadata.deletionTimestamp !== undefined) return undefined;
    const { status } = operation;
    return attemptOf(operation) === attempt && isAdmitted(status) && !isTerminal(status?.phase) ? operation : undefined;
  }

  /** A watch may tell of this run's own writes late, so what is older than the known one is left out. */
  see(operation: VeleroOperation): void {
    const known = this.#operation?.metadata;
    const isOlder = Number(operation.metadata.resourceVersion) < Number(known?.resourceVersion);
    if (known?.uid !== operation.metadata.uid || !isOlder) this.#operation = operation;
  }

  forget(): void {
    this.#operation = undefined;
  }
}
