import { isTerminal, isVeleroOperation, type Operation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { conditionOf, isAdmitted, runnerGaveUp } from "../../api/status.ts";

// Where an Operation stands, as its status tells it to everybody.

/** Not ended, and held back by something or somebody. */
export function isWaiting({ status }: Operation): boolean {
  return !isTerminal(status?.phase) && (!isAdmitted(status) || isQueued({ status }));
}

/** Held back by nothing but the limits. */
export function isQueued({ status }: Pick<Operation, "status">): boolean {
  const running = conditionOf(status, ConditionType.running);
  return !isTerminal(status?.phase) && running?.status === "False" && running.reason === Reason.queued;
}

/** Matters to others: has not ended, or its runner gave up and Velero may go on for it. */
export function isOpen(operation: Operation): boolean {
  if (!isVeleroOperation(operation)) return false;
  return !isTerminal(operation.status?.phase) || runnerGaveUp(operation.status);
}

/** What others can see of an Operation: as long as it stays the same, nothing changes for them. */
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
