import { cancelRequested, decidedReason } from "../../api/cancel.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { ConditionChange } from "../../api/status.ts";
import { isRestorable } from "../../api/velero.ts";
import type { World } from "../state/world.ts";

/**
 * That a cancel was seen, where no runner is at work to see it: whatever Velero does meanwhile, the next runner obeys. A
 * backup that is done already stays. docs/contract.md#cancel-is-recorded-first.
 *
 * @param waitsFor what keeps a runner from work
 * @returns nothing where nobody asks for a cancel, or a runner's own word on it stands
 */
export function awaitedCancel(
  operation: VeleroOperation,
  { veleroObject }: Pick<World, "veleroObject">,
  waitsFor: string,
): readonly ConditionChange[] {
  const message = `asked to end, and no runner is at work to do it: ${waitsFor}`;
  const change = { type: ConditionType.cancelled, status: "Unknown", reason: Reason.cancelRequested, message } as const;
  const decided = decidedReason(operation);
  if (decided !== undefined) return decided === Reason.cancelRequested ? [change] : [];
  const object = veleroObject(operation);
  // Velero makes a backup anew from its files, under another uid: whether that one is done is for a runner to see.
  const isUnseen = object === undefined && operation.status?.engineRef?.uid !== undefined;
  if (!cancelRequested(operation) || isUnseen || isRestorable(object?.status?.phase)) return [];
  return [change];
}
