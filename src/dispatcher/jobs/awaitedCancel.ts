import { cancelRequested, decidedReason } from "../../api/cancel.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { ConditionChange } from "../../api/status.ts";
import { isRestorable } from "../../api/velero.ts";
import type { World } from "../state/world.ts";

/**
 * Records a requested cancel while no runner is at work to record it. The next runner then carries the cancel out, whatever
 * Velero does in the meantime. Example: a queue suspends the Job, a user cancels, and Velero completes the backup before a
 * runner starts: the backup is removed. A backup that had completed before the request stays.
 * docs/contract.md#cancel-is-recorded-first.
 *
 * @param waitsFor what keeps a runner from work, for the message
 * @returns no change if nobody asks for a cancel, or if the attempt is being ended for another reason already
 */
export function awaitedCancel(
  operation: VeleroOperation,
  { veleroObject }: Pick<World, "veleroObject">,
  waitsFor: string,
): readonly ConditionChange[] {
  const message = `cancel requested, but no runner is at work yet to carry it out: ${waitsFor}`;
  const change = { type: ConditionType.cancelled, status: "Unknown", reason: Reason.cancelRequested, message } as const;
  const decided = decidedReason(operation);
  if (decided !== undefined) return decided === Reason.cancelRequested ? [change] : [];
  const object = veleroObject(operation);
  // The recorded object is gone. Velero may have made the Backup again from its files, under another UID: only a runner
  // can find out whether that one has completed.
  const isUnseen = object === undefined && operation.status?.engineRef?.uid !== undefined;
  if (!cancelRequested(operation) || isUnseen || isRestorable(object?.status?.phase)) return [];
  return [change];
}
