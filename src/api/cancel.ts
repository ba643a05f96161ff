import { Annotation } from "./labels.ts";
import type { Operation } from "./operation.ts";
import { ConditionType, Reason } from "./reasons.ts";
import { conditionOf } from "./status.ts";

/** Whether somebody asks this Operation to stop. docs/contract.md#cancel. */
export function cancelRequested(operation: Operation): boolean {
  return operation.metadata.annotations?.[Annotation.cancel] === "true";
}

/** Why an attempt is ended before Velero is done with it. */
export type CancelReason = typeof Reason.cancelRequested | typeof Reason.deadlineExceeded;

/**
 * Whether it was decided, before Velero was done, that the attempt is ended: because somebody asked for it, or because it
 * took too long. From there is no way back, not even for who takes the request back.
 */
export function cancelDecided(operation: Operation): boolean {
  return decision(operation) !== undefined;
}

/** Why that was decided; undefined where it was not. */
export function decidedReason(operation: Operation): CancelReason | undefined {
  return decision(operation)?.reason;
}

/** What is told of the limit for which it was decided; undefined where no limit was the reason. */
export function exceededDeadline(operation: Operation): string | undefined {
  const decided = decision(operation);
  return decided?.reason === Reason.deadlineExceeded ? decided.message : undefined;
}

function decision({ status }: Operation): { reason: CancelReason; message: string } | undefined {
  const { status: is, reason, message = "" } = conditionOf(status, ConditionType.cancelled) ?? {};
  const isDecided = is === "Unknown" && (reason === Reason.cancelRequested || reason === Reason.deadlineExceeded);
  return isDecided ? { reason, message } : undefined;
}

/** Whether this attempt is to be ended. */
export function isCancelled(operation: Operation): boolean {
  return cancelRequested(operation) || cancelDecided(operation);
}
