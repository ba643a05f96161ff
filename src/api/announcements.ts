import type { Announcement, ObjectReference } from "../kube/events.ts";
import type { Condition, Status } from "./operation.ts";
import { ConditionType, Reason } from "./reasons.ts";
import { HEALTH } from "./status.ts";

/**
 * The Events for a change of the status: one for each condition whose status or reason has changed. That an Operation waits
 * for its turn is no event: thousands may wait at once. That it is admitted is none either: the Event of its Job follows.
 * Nor is a condition that is new and False without saying anything bad, nor that Velero works no longer, where another condition says how that ended.
 */
export function announcements(before: Status | undefined, after: Status): Announcement[] {
  const changed = (after.conditions ?? []).filter((condition) => {
    if (HEALTH.has(condition.type)) return false;
    const last = before?.conditions?.find(({ type }) => type === condition.type);
    if (last === undefined) return condition.status !== "False" || isBad(condition);
    return last.status !== condition.status || last.reason !== condition.reason;
  });
  const hasEnded = changed.some(({ type, status }) => ENDINGS.has(type) && status === "True");
  return changed.flatMap((condition) => {
    if (hasEnded && condition.type === ConditionType.running) return [];
    if (isWaiting(condition) || isAdmission(condition)) return [];
    const { reason, message, lastTransitionTime: at } = condition;
    const type = isBad(condition) ? "Warning" : "Normal";
    const action = ACTIONS[condition.type] ?? "Run";
    return [{ type, reason, action, related: action === "Admit" ? undefined : workOf(after), message, at } as const];
  });
}

/** What is done to an Operation when a condition changes: docs/contract.md#events. */
const ACTIONS: Readonly<Record<string, string>> = {
  [ConditionType.accepted]: "Admit",
  [ConditionType.blocked]: "Admit",
  [ConditionType.cancelled]: "Cancel",
};

/** The object by which an Operation is carried out: Velero's, or as long as there is none, its Job. */
export function workOf({ engineRef, runner }: Status): ObjectReference | undefined {
  if (engineRef !== undefined) {
    const { apiVersion, kind, namespace, name, uid } = engineRef;
    return { apiVersion, kind, namespace, name, uid };
  }
  return runner?.jobName === undefined ? undefined : jobReference(runner.jobName, runner.jobNamespace);
}

/** @param uid left out where it is not known */
export function jobReference(name: string, namespace: string | undefined, uid?: string): ObjectReference {
  return { apiVersion: "batch/v1", kind: "Job", namespace, name, ...(uid !== undefined && { uid }) };
}

const ENDINGS: ReadonlySet<string> = new Set([ConditionType.succeeded, ConditionType.failed, ConditionType.cancelled]);
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

function isAdmission({ type, status }: Condition): boolean {
  return type === ConditionType.accepted && status === "True";
}

function isBad({ type, status }: Condition): boolean {
  return (GOOD_WHEN_TRUE.has(type) && status === "False") || (BAD_WHEN_TRUE.has(type) && status === "True");
}
