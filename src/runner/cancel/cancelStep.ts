import type { DeleteBackupRequest, VeleroObject } from "../../api/velero.ts";
import { isRestorable, restores } from "../../api/velero.ts";
import { failedValidation } from "../object/nameCollision.ts";
import { hasSameOwner } from "../object/ownership.ts";

/**
 * How to end a Backup or a Restore that Velero has no way to cancel, so that nothing half-made stays in the object store
 * and no other backup is touched. Pure: what was read goes in, one step comes out; after each step everything is read
 * again, so a runner may be killed anywhere and the next one goes on.
 * docs/velero-facts.md#data-loss-traps, docs/velero-facts.md#cancel-and-delete.
 */

/** Whose files lie in the object store under the name of a failed backup. */
export type ArchiveOwner =
  /** Its own, or none. */
  | "own"
  /** An older backup's: it was there before this one began. */
  | "older"
  | "unknown";

/** All that a step depends on. */
export interface CancelView {
  /** The object as it was when the cancel was seen. */
  readonly asked: VeleroObject;
  /** An earlier run saw the cancel while there was nothing to keep, and may have acted on it. */
  readonly decided: boolean;
  /** It, as it was last seen. */
  readonly last: VeleroObject;
  /** What has its name now, read after `deleteRequests`. */
  readonly current: VeleroObject | undefined;
  /** The DeleteBackupRequests for that name. */
  readonly deleteRequests: readonly DeleteBackupRequest[];
  /** Undefined until it was looked at. */
  readonly archiveOwner: ArchiveOwner | undefined;
}

export type CancelResult =
  /** It was Completed or PartiallyFailed before the cancel was seen, and stays as it is. */
  | { readonly kind: "kept"; readonly object: VeleroObject }
  /** It is gone. `remains` says what could not be cleaned up. */
  | { readonly kind: "removed"; readonly remains?: string };

export type CancelStep =
  | { readonly do: "end"; readonly result: CancelResult }
  /** Delete the object itself, its files stay as they are. `unchanged`: only in exactly the state that was read. */
  | { readonly do: "delete"; readonly object: VeleroObject; readonly unchanged: boolean }
  /** Velero has chosen the backup to run next: deleted now, it would block Velero's queue until a restart. */
  | { readonly do: "waitForStart"; readonly object: VeleroObject }
  /** Nothing stops a run under way; the volume data that it waits for can be. */
  | { readonly do: "waitForRun"; readonly object: VeleroObject }
  | { readonly do: "waitForDeletion"; readonly object: VeleroObject | undefined }
  /** Find out whose files lie under the name of a failed backup. */
  | { readonly do: "inspectStore"; readonly object: VeleroObject }
  /** Have Velero delete backup, files and snapshots. `refused`: why it did not the last time. */
  | { readonly do: "requestDeletion"; readonly object: VeleroObject; readonly refused: readonly string[] }
  /** Take back requests that would hit whatever has the name by then: Velero goes by the name alone. */
  | { readonly do: "withdraw"; readonly requests: readonly DeleteBackupRequest[] };

/** @returns what to do next; never a deletion of what this attempt did not make */
export function nextCancelStep(view: CancelView): CancelStep {
  return view.asked.kind === restores.kind ? restoreStep(view) : backupStep(view);
}

function restoreStep(view: CancelView): CancelStep {
  const { asked, current } = view;
  // Velero never makes a Restore anew: another uid is another Restore.
  if (current === undefined || current.metadata.uid !== asked.metadata.uid) return removed();
  if (current.metadata.deletionTimestamp !== undefined) {
    // Velero's finalizer holds it until a run under way has ended. One that was refused never ran, and is held only for as
    // long as its storage location is unavailable.
    if (current.status?.phase !== "FailedValidation") return { do: "waitForDeletion", object: current };
    return removed("Velero removes the Restore that it refused when its storage location is available again");
  }
  if (isKept(view)) return { do: "end", result: { kind: "kept", object: current } };
  const phase = current.status?.phase || "New";
  if (RESTORE_RUNS.has(phase)) return { do: "waitForRun", object: current };
  return { do: "delete", object: current, unchanged: phase === "New" };
}

/** A backup or restore that was done before anybody asked for its end stays. */
export function isKept({ asked, decided }: Pick<CancelView, "asked" | "decided">): boolean {
  return !decided && isRestorable(asked.status?.phase);
}

/**
 * Deleted now, the run goes on all the same, and Velero may write the Restore's results into the object store just after
 * it has removed its files: they would stay for ever (seen on 1.18.3). Waiting for plugins is no run.
 */
const RESTORE_RUNS: ReadonlySet<string> = new Set(["InProgress", "Finalizing", "FinalizingPartiallyFailed"]);

function backupStep(view: CancelView): CancelStep {
  const { asked, current, deleteRequests } = view;
  const own = deleteRequests.filter((request) => hasSameOwner(request, asked));
  if (current === undefined || !hasSameOwner(current, asked)) return afterwards(view, own);
  if (current.metadata.deletionTimestamp !== undefined) return { do: "waitForDeletion", object: current };
  // With a request of ours an earlier runner had decided already.
  if (isKept(view) && own.length === 0) {
    return { do: "end", result: { kind: "kept", object: current } };
  }
  if (failedValidation(current)) return { do: "delete", object: current, unchanged: true };
  switch (current.status?.phase || "New") {
    case "New":
    case "Queued":
      return { do: "delete", object: current, unchanged: true };
    case "ReadyToStart":
      return { do: "waitForStart", object: current };
    case "Completed":
    case "PartiallyFailed":
    case "Failed":
    case "Deleting":
      return removal(view, current, own);
    default:
      return { do: "waitForRun", object: current };
  }
}

function removal(
  { asked, deleteRequests, archiveOwner }: CancelView,
  current: VeleroObject,
  own: readonly DeleteBackupRequest[],
): CancelStep {
  if (deleteRequests.some(isPending)) return { do: "waitForDeletion", object: current };
  // A backup can fail before Velero has looked whether its name is free: then the files are an older one's. One that
  // was done after all, whatever it was called before, had looked. One that came back with our labels and another uid was
  // made from the files, so they are ours.
  const { phase, failureReason = "" } = current.status ?? {};
  const mayHaveCollided = phase === "Failed" || (phase === "Deleting" && failureReason !== "");
  if (mayHaveCollided && current.metadata.uid === asked.metadata.uid) {
    if (archiveOwner === undefined) return { do: "inspectStore", object: current };
    if (archiveOwner !== "own") return { do: "delete", object: current, unchanged: true };
  }
  return { do: "requestDeletion", object: current, refused: own.flatMap((request) => request.status?.errors ?? []) };
}

function afterwards(view: CancelView, own: readonly DeleteBackupRequest[]): CancelStep {
  const { current, last, archiveOwner } = view;
  const open = own.filter(isPending);
  const unread = open.filter(({ status }) => status?.phase !== "InProgress");
  if (unread.length > 0) return { do: "withdraw", requests: unread };
  if (open.length > 0 && current === undefined) return { do: "waitForDeletion", object: undefined };
  if (current !== undefined) return removed("another backup has its name now, which was left alone");
  if (isRunning(last)) {
    return removed("it was deleted from elsewhere during its run, its files may stay in the object store");
  }
  return removed(
    archiveOwner === "unknown" ? "whether it left files in the object store could not be told" : undefined,
  );
}

function isPending({ status }: DeleteBackupRequest): boolean {
  return status?.phase !== "Processed";
}

/** A run may be under way that does not end with the object. */
function isRunning({ status }: VeleroObject): boolean {
  const over = ["", "New", "Queued", "Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting"];
  return !over.includes(status?.phase ?? "");
}

function removed(remains?: string): CancelStep {
  return { do: "end", result: { kind: "removed", ...(remains !== undefined && { remains }) } };
}
