import { Annotation } from "./labels.ts";
import type { Operation } from "./operation.ts";
import { ConditionType, Reason } from "./reasons.ts";
import { conditionOf } from "./status.ts";

/** Whether somebody asks this Operation to stop. docs/contract.md, Cancel. */
export function cancelRequested(operation: Operation): boolean {
  return operation.metadata.annotations?.[Annotation.cancel] === "true";
}

/** Whether such a request was seen before Velero was done: from there is no way back, not even for who takes the request back. */
export function cancelDecided({ status }: Operation): boolean {
  const cancelled = conditionOf(status, ConditionType.cancelled);
  return cancelled?.status === "Unknown" && cancelled.reason === Reason.cancelRequested;
}

/** Whether this attempt is to be ended. */
export function isCancelled(operation: Operation): boolean {
  return cancelRequested(operation) || cancelDecided(operation);
}
