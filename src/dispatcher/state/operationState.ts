import { isTerminal, isVeleroOperation, type Operation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { conditionOf, endedWithoutResult, isAdmitted } from "../../api/status.ts";

// What an Operation's status says about how far it is.

/** Whether it has not ended and is held back. */
export function isWaiting({ status }: Operation): boolean {
  return !isTerminal(status?.phase) && (!isAdmitted(status) || isQueued({ status }));
}

/** Whether nothing but its turn holds it back: a slot, or room in Velero. */
export function isQueued({ status }: Pick<Operation, "status">): boolean {
  const running = conditionOf(status, ConditionType.running);
  return !isTerminal(status?.phase) && running?.status === "False" && running.reason === Reason.queued;
}

/** Whether it matters to others: it has not ended, or its runner gave up while Velero may go on. */
export function isOpen(operation: Operation): boolean {
  if (!isVeleroOperation(operation)) return false;
  return !isTerminal(operation.status?.phase) || endedWithoutResult(operation.status);
}

/** What matters about an Operation to others: as long as this text stays the same, nothing changes for them. */
export function whatOthersSee(operation: Operation | undefined): string {
  if (operation === undefined || !isOpen(operation)) return "";
  const { status, metadata } = operation;
  const begun = status?.engineRef?.uid ?? status?.engineRef?.name;
  if (isTerminal(status?.phase)) return `${metadata.uid} left ${begun}`;
  const says = [ConditionType.accepted, ConditionType.blocked].map((type) => {
    const condition = conditionOf(status, type);
    return `${condition?.status}/${condition?.reason}`;
  });
  return [metadata.uid, metadata.deletionTimestamp, begun, isQueued(operation), ...says].join();
}
