import type { Announcement } from "../kube/events.ts";
import type { Condition, Status } from "./operation.ts";
import { ConditionType } from "./reasons.ts";

/** The Events for a change of the status: one for each condition whose status or reason has changed. */
export function announcements(before: Status | undefined, after: Status): Announcement[] {
  return (after.conditions ?? []).flatMap((condition) => {
    const last = before?.conditions?.find(({ type }) => type === condition.type);
    if (last?.status === condition.status && last.reason === condition.reason) return [];
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

function isBad({ type, status }: Condition): boolean {
  return (GOOD_WHEN_TRUE.has(type) && status === "False") || (BAD_WHEN_TRUE.has(type) && status === "True");
}
