import type { Announcement } from "../kube/events.ts";
import type { Condition, Status } from "./operation.ts";
import { ConditionType, Reason } from "./reasons.ts";

/**
 * The Events for a change of the status: one for each condition whose status or reason has changed. That an Operation waits
 * for its turn is no event: thousands may wait at once, and each will be admitted with an Event.
 */
export function announcements(before: Status | undefined, after: Status): Announcement[] {
  return (after.conditions ?? []).flatMap((condition) => {
    const last = before?.conditions?.find(({ type }) => type === condition.type);
    if (last?.status === condition.status && last.reason === condition.reason) return [];
    if (isWaiting(condition)) return [];
    const { reason, message, lastTransitionTime: at } = condition;
    return [{ type: isBad(condition) ? "Warning" : "Normal", reason, message, at } as const];
  });
}

const GOOD_WHEN_TRUE: ReadonlySet<string> = new Set([ConditionType.accepted, ConditionType.succeeded]);
const BAD_WHEN_TRUE: ReadonlySet<string> = new Set([
  ConditionType.blocked,
  ConditionType.failed,
  ConditionType.degraded,
]);

function isWaiting({ type, status, reason }: Condition): boolean {
  return (
    (type === ConditionType.accepted && status === "Unknown") ||
    (type === ConditionType.running && status === "False" && reason === Reason.queued)
  );
}

function isBad({ type, status }: Condition): boolean {
  return (GOOD_WHEN_TRUE.has(type) && status === "False") || (BAD_WHEN_TRUE.has(type) && status === "True");
}
