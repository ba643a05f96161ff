import { Label } from "../api/labels.ts";
import { jobName } from "../api/names.ts";
import { attemptOf, type VeleroOperation } from "../api/operation.ts";
import type { Job, Pod } from "../kube/resources.ts";
import type { Action, World } from "./world.ts";

/**
 * Which of the Jobs that name an Operation decides about its attempt. There may be several: the dispatcher's own, and any
 * that a person made by hand from the template. docs/contract.md, Job and "Two writers, one rule".
 */
export type JobState =
  /** There is none: to be made. */
  | { readonly kind: "missing" }
  /** The dispatcher's own, which is past, has the name: in the way of the one that is to follow. */
  | { readonly kind: "stale"; readonly job: Job }
  /** At least one may still bring the attempt to its end. */
  | { readonly kind: "active"; readonly jobs: readonly Job[] }
  /** All have ended, this one last, and the attempt has not. */
  | { readonly kind: "ended"; readonly job: Job };

/** The Jobs as the attempt under way has them. */
export function jobState(operation: VeleroOperation, world: World): JobState {
  const active = activeJobs(operation, world);
  if (active.length > 0) return { kind: "active", jobs: active };
  const own = ownJob(operation, world);
  const last = lastJob(operation, world);
  if (last !== undefined) return { kind: "ended", job: last };
  if (own === undefined) return { kind: "missing" };
  const worked = operation.status?.runner?.jobUIDs?.includes(own.metadata.uid) ?? false;
  return worked ? { kind: "stale", job: own } : { kind: "ended", job: own };
}

/** The Jobs that may still work on the attempt, those included that have not begun. */
export function activeJobs(operation: VeleroOperation, world: World): Job[] {
  const own = ownJob(operation, world);
  const attempt = String(attemptOf(operation));
  const past = new Set(operation.status?.history?.flatMap(({ jobUIDs = [] }) => jobUIDs));
  const others = world
    .jobsOf(operation)
    .filter(
      ({ metadata: { uid, labels } }) =>
        uid !== own?.metadata.uid && !past.has(uid) && (labels?.[Label.attempt] ?? attempt) === attempt,
    );
  return [...(own === undefined ? [] : [own]), ...others].filter((job) => !hasEnded(job));
}

/** The dispatcher's own Job, once it has ended: beside an attempt under way it would be read as its failure. */
export function endedOwnJob(operation: VeleroOperation, world: World): Job | undefined {
  const own = ownJob(operation, world);
  return own !== undefined && hasEnded(own) ? own : undefined;
}

/** The dispatcher's own Job, of which a pod may still start or run. */
export function unfinishedOwnJob(operation: VeleroOperation, world: World): Job | undefined {
  const own = ownJob(operation, world);
  return own === undefined || hasEnded(own) ? undefined : own;
}

/** Has the dispatcher delete a Job, in the state in which it was looked at only. */
export function deletionOf({ metadata }: Job, why: string): Extract<Action, { kind: "deleteJob" }> {
  const { name, uid, resourceVersion } = metadata;
  return { kind: "deleteJob", name, uid, resourceVersion, why };
}

/** Made by a person from the template, and so theirs to delete: the dispatcher has no right to it. */
export function isHandMade(job: Job): boolean {
  return job.metadata.labels?.[Label.operation] === undefined;
}

/** The condition Failed, never FailureTarget: until then pods of it may live. */
export function failureOf(job: Job): NonNullable<NonNullable<Job["status"]>["conditions"]>[number] | undefined {
  return job.status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
}

/**
 * Whether no container of a Job ever ran, as far as the Job and its pods can say; where they differ, one may have.
 *
 * @param pods all that are known of this Job
 */
export function neverStarted({ status = {} }: Job, pods: readonly Pod[]): boolean {
  const { active = 0, terminating = 0, succeeded = 0, failed = 0 } = status;
  return succeeded + failed === 0 && active + terminating <= pods.length && !pods.some(hasStarted);
}

/** Whether a container of it ever ran. */
export function hasStarted({ status = {} }: Pod): boolean {
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  return [...containerStatuses, ...initContainerStatuses].some(
    ({ state, lastState }) => (state?.running ?? state?.terminated ?? lastState?.terminated) !== undefined,
  );
}

/** The Job that the dispatcher makes for the attempt; one of that name that is somebody else's does not count. */
function ownJob(operation: VeleroOperation, world: World): Job | undefined {
  const { name, uid } = operation.metadata;
  const job = world.job(jobName({ name, uid }, attemptOf(operation)));
  return job?.metadata.labels?.[Label.operation] === uid ? job : undefined;
}

/** The Job whose runner was the last to join the attempt since that was resumed, if it still exists. */
function lastJob(operation: VeleroOperation, world: World): Job | undefined {
  const { jobUIDs = [], resumedAfter } = operation.status?.runner ?? {};
  const last = jobUIDs.at(-1);
  return last === undefined || last === resumedAfter
    ? undefined
    : world.jobsOf(operation).find(({ metadata }) => metadata.uid === last);
}

/** No pod of it will ever start again. */
export function hasEnded(job: Job): boolean {
  return endingOf(job) !== undefined;
}

/** When that was; long ago, where its controller does not say. */
export function endOfJob(job: Job): Date {
  const at = Date.parse(endingOf(job)?.lastTransitionTime ?? "");
  return new Date(Number.isNaN(at) ? 0 : at);
}

function endingOf({ status }: Job) {
  return status?.conditions?.find(
    (condition) => (condition.type === "Failed" || condition.type === "Complete") && condition.status === "True",
  );
}
