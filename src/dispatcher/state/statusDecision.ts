import { isDeepStrictEqual } from "node:util";
import { latestRequest } from "../../api/crossNamespace.ts";
import { oneLine } from "../../api/message.ts";
import { isTerminal, type Status, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { type ConditionChange, conditionOf, nextStatus, type StatusChange, timestamp } from "../../api/status.ts";
import type { Decision, World } from "./world.ts";

/** Everything is as it should be, or what is waited for will wake the Operation. */
export const NOTHING: Decision = {};

/**
 * The write that brings an Operation's status to where it should be; {@link NOTHING} where it is there already.
 *
 * @param from the status that the change is applied to, where that is not the last one (a new attempt)
 */
export function write(
  operation: VeleroOperation,
  { now }: World,
  change: StatusChange,
  from: Status | undefined = operation.status,
): Decision {
  const conditions = (change.conditions ?? []).map((one) => ({ ...one, message: oneLine(one.message) }));
  // What is asked for after the end counts from when an attempt is opened for it.
  const request = isTerminal(from?.phase) ? from?.request : latestRequest(operation, from?.request, timestamp(now));
  const status = nextStatus(
    from,
    { ...change, conditions, ...(request && { request }) },
    { now, generation: operation.metadata.generation },
  );
  return isDeepStrictEqual(status, operation.status) ? NOTHING : { action: { kind: "writeStatus", status } };
}

/** Blocked=False for what was blocked; nothing for what never was. */
export function unblocked(status: Status | undefined): readonly ConditionChange[] {
  if (conditionOf(status, ConditionType.blocked)?.status !== "True") return [];
  return [{ type: ConditionType.blocked, status: "False", reason: Reason.unblocked, message: "no longer blocked" }];
}
