import type { DeleteBackupRequest, VeleroObject } from "../../api/velero.ts";
import { isRestorable, restores } from "../../api/velero.ts";
import { hasSameOwner } from "../object/ownership.ts";
import { failedValidation } from "../object/storeCollision.ts";

/**
 * How to end a Backup or a Restore, which Velero has no way to cancel, so that nothing half-made stays in the object
 * store and no other backup is touched. Pure: what was read goes in, one step comes out. After each step everything is
 * read again, so a runner may be killed at any point, and the next run continues. docs/velero-facts.md#data-loss-traps,
 * docs/velero-facts.md#cancel-and-delete.
 */

/** Whose files the object store holds under the name of a failed backup. */
export type ArchiveOwner =
  /** The backup's own, or there are none. */
  | "own"
  /** An older backup's: they were there before this one began. */
  | "older"
  | "unknown";

/** All that a step depends on. */
export interface CancelView {
  /** The object as it was when the cancel was seen. */
  readonly whenCancelSeen: VeleroObject;
  /** An earlier run has recorded the cancel before the object was finished, and may have acted on it. */
  readonly decided: boolean;
  /** The object as it was last seen. */
  readonly lastSeen: VeleroObject;
  /** The object that has its name now, read after `deleteRequests`. */
  readonly now: VeleroObject | undefined;
  /** The DeleteBackupRequests for that name. */
  readonly deleteRequests: readonly DeleteBackupRequest[];
  /** Undefined until the step `inspectStore` was taken. */
  readonly archiveOwner: ArchiveOwner | undefined;
}

export type CancelResult =
  /** It was Completed or PartiallyFailed before the cancel was seen, and stays as it is. */
  | { readonly kind: "kept"; readonly object: VeleroObject }
  /** It is gone. `remains` says, in words for the status, what could not be cleaned up. */
  | { readonly kind: "removed"; readonly remains?: string };

export type CancelStep =
  | { readonly do: "end"; readonly result: CancelResult }
  /** Delete the object itself; its files stay. `unchanged`: only if it has not changed since it was read. */
  | { readonly do: "delete"; readonly object: VeleroObject; readonly unchanged: boolean }
  /** Velero has chosen the backup to run next. Deleting it now would block Velero's queue until Velero restarts. */
  | { readonly do: "waitForStart"; readonly object: VeleroObject }
  /** Velero's run cannot be interrupted, but the volume data that it waits for can be cancelled. */
  | { readonly do: "waitForRun"; readonly object: VeleroObject }
  | { readonly do: "waitForDeletion"; readonly object: VeleroObject | undefined }
  /** Find out whose files the object store holds under the name of a failed backup. */
  | { readonly do: "inspectStore"; readonly object: VeleroObject }
  /** Ask Velero to delete backup, files and snapshots. `errors`: why Velero did not the last time. */
  | { readonly do: "requestDeletion"; readonly object: VeleroObject; readonly errors: readonly string[] }
  /** Delete requests that Velero has not read yet. Velero goes by the name alone, so they could hit a newer backup. */
  | { readonly do: "withdraw"; readonly requests: readonly DeleteBackupRequest[] };

/** @returns the next step; it never deletes anything that this attempt did not make */
export function nextCancelStep(view: CancelView): CancelStep {
  return view.whenCancelSeen.kind === restores.kind ? restoreStep(view) : backupStep(view);
}

function restoreStep(view: CancelView): CancelStep {
  const { whenCancelSeen, now } = view;
  // Velero never recreates a Restore: another uid means another Restore.
  if (now === undefined || now.metadata.uid !== whenCancelSeen.metadata.uid) return removed();
  if (now.metadata.deletionTimestamp !== undefined) {
    // Velero's finalizer holds the object until the run has ended. A Restore that failed validation never ran, and is
    // held only while its storage location is unavailable.
    if (now.status?.phase !== "FailedValidation") return { do: "waitForDeletion", object: now };
    return removed("Velero removes the Restore, which failed validation, when its storage location is available again");
  }
  if (finishedBeforeCancel(view)) return { do: "end", result: { kind: "kept", object: now } };
  const phase = now.status?.phase || "New";
  if (RESTORE_RUNS.has(phase)) return { do: "waitForRun", object: now };
  return { do: "delete", object: now, unchanged: phase === "New" };
}

/** A Backup or Restore that was finished before the cancel was seen stays. */
export function finishedBeforeCancel({
  whenCancelSeen,
  decided,
}: Pick<CancelView, "whenCancelSeen" | "decided">): boolean {
  return !decided && isRestorable(whenCancelSeen.status?.phase);
}

/**
 * In these phases a Restore must not be deleted. The run would go on, and Velero could write the Restore's results into
 * the object store just after it has removed the Restore's files: they would stay for ever (seen on 1.18.3). No run is
 * under way while Velero waits for plugin operations.
 */
const RESTORE_RUNS: ReadonlySet<string> = new Set(["InProgress", "Finalizing", "FinalizingPartiallyFailed"]);

function backupStep(view: CancelView): CancelStep {
  const { whenCancelSeen, now, deleteRequests } = view;
  const ownRequests = deleteRequests.filter((request) => hasSameOwner(request, whenCancelSeen));
  if (now === undefined || !hasSameOwner(now, whenCancelSeen)) return afterRemoval(view, ownRequests);
  if (now.metadata.deletionTimestamp !== undefined) return { do: "waitForDeletion", object: now };
  // A request of this attempt's shows that an earlier run has begun to cancel.
  if (finishedBeforeCancel(view) && ownRequests.length === 0) {
    return { do: "end", result: { kind: "kept", object: now } };
  }
  if (failedValidation(now)) return { do: "delete", object: now, unchanged: true };
  switch (now.status?.phase || "New") {
    case "New":
    case "Queued":
      return { do: "delete", object: now, unchanged: true };
    case "ReadyToStart":
      return { do: "waitForStart", object: now };
    case "Completed":
    case "PartiallyFailed":
    case "Failed":
    case "Deleting":
      return removal(view, now, ownRequests);
    default:
      return { do: "waitForRun", object: now };
  }
}

function removal(
  { whenCancelSeen, deleteRequests, archiveOwner }: CancelView,
  current: VeleroObject,
  ownRequests: readonly DeleteBackupRequest[],
): CancelStep {
  if (deleteRequests.some(isPending)) return { do: "waitForDeletion", object: current };
  // A backup can fail before Velero checks whether its name is free in the object store: then the files under its name
  // are an older backup's. A backup that is Completed or PartiallyFailed has passed that check, even if Velero called
  // it Failed before. A backup with our labels and another uid was recreated from the files, so the files are ours.
  const { phase, failureReason = "" } = current.status ?? {};
  const mayHaveCollided = phase === "Failed" || (phase === "Deleting" && failureReason !== "");
  if (mayHaveCollided && current.metadata.uid === whenCancelSeen.metadata.uid) {
    if (archiveOwner === undefined) return { do: "inspectStore", object: current };
    if (archiveOwner !== "own") return { do: "delete", object: current, unchanged: true };
  }
  return {
    do: "requestDeletion",
    object: current,
    errors: ownRequests.flatMap((request) => request.status?.errors ?? []),
  };
}

function afterRemoval(view: CancelView, ownRequests: readonly DeleteBackupRequest[]): CancelStep {
  const { now, lastSeen, archiveOwner } = view;
  const pending = ownRequests.filter(isPending);
  const unread = pending.filter(({ status }) => status?.phase !== "InProgress");
  if (unread.length > 0) return { do: "withdraw", requests: unread };
  if (pending.length > 0 && now === undefined) return { do: "waitForDeletion", object: undefined };
  if (now !== undefined) return removed("another Backup has its name now and was left alone");
  if (isRunning(lastSeen)) {
    return removed("somebody else deleted it during its run, so its files may stay in the object store");
  }
  return removed(
    archiveOwner === "unknown"
      ? "it may have left files in the object store; the runner could not tell whether the files there are its own"
      : undefined,
  );
}

function isPending({ status }: DeleteBackupRequest): boolean {
  return status?.phase !== "Processed";
}

/** Whether Velero may still run the backup although its object is gone. */
function isRunning({ status }: VeleroObject): boolean {
  const over = ["", "New", "Queued", "Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting"];
  return !over.includes(status?.phase ?? "");
}

function removed(remains?: string): CancelStep {
  return { do: "end", result: { kind: "removed", ...(remains !== undefined && { remains }) } };
}
