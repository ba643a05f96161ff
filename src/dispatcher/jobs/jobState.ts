import { Label } from "../../api/labels.ts";
import { jobName } from "../../api/names.ts";
import { attemptOf, jobsOfAttempt, pastJobs, type VeleroOperation } from "../../api/operation.ts";
import { jobHasEnded } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import type { Action, World } from "../state/world.ts";
import { FIELD_MANAGER } from "../templates/buildJob.ts";

/**
 * Which of the Jobs that name an Operation decides how its attempt goes on. There may be several: the one that the dispatcher
 * made, and any that people made by hand from the template. docs/contract.md#job-creation, docs/contract.md#status-writes.
 */
export type JobState =
  /** There is no Job: the dispatcher has to create one. */
  | { readonly kind: "missing" }
  /** The dispatcher's own Job gave up before the attempt was resumed, and still has the name that the next Job needs. */
  | { readonly kind: "stale"; readonly job: Job }
  /** At least one Job may still bring the attempt to its end. */
  | { readonly kind: "active"; readonly jobs: readonly Job[] }
  /** All Jobs have ended, this one last, but the attempt has not. */
  | { readonly kind: "ended"; readonly job: Job };

/** Judges the Jobs of the attempt that is under way. */
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

/** The Jobs that may still work on the attempt, including those that have no pod yet. */
export function activeJobs(operation: VeleroOperation, world: World): Job[] {
  const own = ownJob(operation, world);
  const others = world
    .jobsOf(operation)
    .filter((job) => job.metadata.uid !== own?.metadata.uid && isOf(operation, job));
  return [...(own === undefined ? [] : [own]), ...others].filter((job) => !jobHasEnded(job));
}

/** The dispatcher's own Job, if it has ended. An attempt that is resumed beside it would be taken for failed at once. */
export function endedOwnJob(operation: VeleroOperation, world: World): Job | undefined {
  const own = ownJob(operation, world);
  return own !== undefined && jobHasEnded(own) ? own : undefined;
}

/** The dispatcher's own Job, if a pod of it may still start or run. */
export function unfinishedOwnJob(operation: VeleroOperation, world: World): Job | undefined {
  const own = ownJob(operation, world);
  return own === undefined || jobHasEnded(own) ? undefined : own;
}

/** The deletion of a Job, which the API server carries out only on the very state that the decision saw. */
export function deletionOf({ metadata }: Job, why: string): Extract<Action, { kind: "deleteJob" }> {
  const { name, uid, resourceVersion } = metadata;
  return { kind: "deleteJob", name, uid, resourceVersion, why };
}

/**
 * Whether a Job belongs to the attempt under way. A Job that people made belongs to it if the status lists its UID; its labels
 * do not matter then, since a copy of an old Job carries the number of an earlier attempt.
 */
function isOf(operation: VeleroOperation, { metadata: { uid, labels } }: Job): boolean {
  const { status } = operation;
  if (jobsOfAttempt(status?.runner).includes(uid)) return true;
  if (pastJobs(status).includes(uid)) return false;
  const attempt = String(attemptOf(operation));
  return (labels?.[Label.attempt] ?? attempt) === attempt;
}

/** The unfinished Jobs that the status does not list yet: somebody may have made them to ask for another run. */
export function unknownJobs(operation: VeleroOperation, world: World): Job[] {
  const { status } = operation;
  const listed = new Set([...jobsOfAttempt(status?.runner), ...pastJobs(status)]);
  const isBeingDeleted = ({ metadata }: Job) => metadata.deletionTimestamp !== undefined;
  return world
    .jobsOf(operation)
    .filter((job) => !listed.has(job.metadata.uid) && !jobHasEnded(job) && !isBeingDeleted(job));
}

/**
 * Whether the dispatcher made a Job. Only managedFields tell: the API server records there who created an object. A copy of
 * the dispatcher's Job has the same name, labels, annotations and environment. It may even be sent with the managedFields of
 * the original; then the API server records the sender after those.
 * docs/contract.md#who-made-a-job.
 */
export function isMadeByDispatcher({ metadata: { managedFields = [], creationTimestamp } }: Job): boolean {
  const created = Date.parse(creationTimestamp);
  const writers = managedFields
    .map(({ time = "", ...writer }) => ({ ...writer, at: Date.parse(time) }))
    .filter(({ subresource = "", at }) => subresource === "" && at <= created);
  const creation = Math.max(...writers.map(({ at }) => at));
  // Times are whole seconds: another writer in the second of the creation, such as the Job controller, does not matter.
  return writers.some(
    ({ manager, operation, at }) => manager === FIELD_MANAGER && operation === "Update" && at === creation,
  );
}

/**
 * The Job under the name that the dispatcher gives the attempt's; a Job of that name that is labelled for another Operation
 * does not count. It goes by name alone: who made the Job, {@link isMadeByDispatcher} says.
 */
function ownJob(operation: VeleroOperation, world: World): Job | undefined {
  const { name, uid } = operation.metadata;
  const job = world.job(jobName({ name, uid }, attemptOf(operation)));
  return job?.metadata.labels?.[Label.operation] === uid ? job : undefined;
}

/**
 * The Job whose runner joined the attempt last, since the attempt began or was resumed. If no runner has joined: the last Job
 * that people made to ask for this attempt. Undefined if that Job no longer exists.
 */
function lastJob(operation: VeleroOperation, world: World): Job | undefined {
  const { jobUIDs = [], requestedBy = [], resumedAfter } = operation.status?.runner ?? {};
  const joined = jobUIDs.at(-1);
  const requesting = requestedBy.filter((uid) => !jobUIDs.includes(uid));
  const last = joined === undefined || joined === resumedAfter ? requesting.at(-1) : joined;
  return last === undefined ? undefined : world.jobsOf(operation).find(({ metadata }) => metadata.uid === last);
}
