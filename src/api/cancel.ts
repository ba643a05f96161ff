import { Annotation } from "./labels.ts";
import type { Operation } from "./operation.ts";
import { ConditionType, Reason } from "./reasons.ts";
import { conditionOf } from "./status.ts";

/** Whether somebody asks this Operation to stop. docs/contract.md#cancel. */
export function cancelRequested(operation: Operation): boolean {
  return operation.metadata.annotations?.[Annotation.cancel] === "true";
}

/** Why an attempt is cancelled. */
export type CancelReason = typeof Reason.cancelRequested | typeof Reason.deadlineExceeded;

/**
 * Whether the status records that the attempt is being cancelled, because somebody asked for it or because it took too
 * long. Such a cancel goes on to its end, even if the request is withdrawn.
 */
export function cancelDecided(operation: Operation): boolean {
  return decision(operation) !== undefined;
}

/** The recorded reason of the cancel; undefined if none is recorded. */
export function decidedReason(operation: Operation): CancelReason | undefined {
  return decision(operation)?.reason;
}

/** The message about the limit that was exceeded; undefined if the recorded cancel has another reason. */
export function exceededDeadline(operation: Operation): string | undefined {
  const decided = decision(operation);
  return decided?.reason === Reason.deadlineExceeded ? decided.message : undefined;
}

function decision({ status }: Operation): { reason: CancelReason; message: string } | undefined {
  const { status: is, reason, message = "" } = conditionOf(status, ConditionType.cancelled) ?? {};
  const isDecided = is === "Unknown" && (reason === Reason.cancelRequested || reason === Reason.deadlineExceeded);
  return isDecided ? { reason, message } : undefined;
}

/** Whether this attempt must be cancelled: somebody asks for it, or the status records it. */
export function mustCancel(operation: Operation): boolean {
  return cancelRequested(operation) || cancelDecided(operation);
}
