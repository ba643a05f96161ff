import { isDeepStrictEqual } from "node:util";
import { latestRequest } from "../../api/crossNamespace.ts";
import { oneLine } from "../../api/message.ts";
import { isTerminal, type Status, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { type ConditionChange, conditionOf, nextStatus, type StatusChange, timestamp } from "../../api/status.ts";
import type { Decision, World } from "./world.ts";

/** There is nothing to do: everything is as it should be, or a change of what the Operation waits for leads to a new decision. */
export const NOTHING: Decision = {};

/**
 * The write that makes an Operation's status what it should be; {@link NOTHING} if it is that already.
 *
 * @param from the status to which the change is applied, if not the last one: that of a new attempt
 */
export function decideStatus(
  operation: VeleroOperation,
  { now }: World,
  change: StatusChange,
  from: Status | undefined = operation.status,
): Decision {
  const conditions = (change.conditions ?? []).map((one) => ({ ...one, message: oneLine(one.message) }));
  // A request after the end counts only from the moment when an attempt is opened for it.
  const request = isTerminal(from?.phase) ? from?.request : latestRequest(operation, from?.request, timestamp(now));
  const status = nextStatus(
    from,
    { ...change, conditions, ...(request && { request }) },
    { now, generation: operation.metadata.generation },
  );
  return isDeepStrictEqual(status, operation.status) ? NOTHING : { action: { kind: "writeStatus", status } };
}

/** Blocked=False if the Operation was blocked; no change otherwise. */
export function unblocked(status: Status | undefined): readonly ConditionChange[] {
  if (conditionOf(status, ConditionType.blocked)?.status !== "True") return [];
  return [{ type: ConditionType.blocked, status: "False", reason: Reason.unblocked, message: "no longer blocked" }];
}
