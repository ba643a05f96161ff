import type { Job, Pod } from "./resources.ts";

/** The condition Failed of a Job. FailureTarget does not count: with that one, pods of the Job may still live. */
export function failureOf(job: Job): NonNullable<NonNullable<Job["status"]>["conditions"]>[number] | undefined {
  return job.status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
}

/**
 * Whether no container of a Job ever ran. If the Job and its pods do not agree, a container may have run.
 *
 * @param pods all known pods of this Job
 */
export function neverStarted({ status = {} }: Job, pods: readonly Pod[]): boolean {
  const { active = 0, terminating = 0, succeeded = 0, failed = 0 } = status;
  return succeeded + failed === 0 && active + terminating <= pods.length && !pods.some(hasStarted);
}

/** Whether a container of this pod ever ran. */
export function hasStarted({ status = {} }: Pod): boolean {
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  return [...containerStatuses, ...initContainerStatuses].some(
    ({ state, lastState }) => (state?.running ?? state?.terminated ?? lastState?.terminated) !== undefined,
  );
}

/** Whether all containers of this pod have ended for good. */
export function podHasEnded({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Whether a Job has ended: no pod of it will ever start again. */
export function jobHasEnded(job: Job): boolean {
  return endingOf(job) !== undefined;
}

/** When a Job ended; 1970 if its controller does not say. */
export function endOfJob(job: Job): Date {
  const at = Date.parse(endingOf(job)?.lastTransitionTime ?? "");
  return new Date(Number.isNaN(at) ? 0 : at);
}

function endingOf({ status }: Job) {
  return status?.conditions?.find(
    (condition) => (condition.type === "Failed" || condition.type === "Complete") && condition.status === "True",
  );
}
