import { Label } from "../../api/labels.ts";
import { jobName } from "../../api/names.ts";
import { attemptOf, jobsOfAttempt, pastJobs, type VeleroOperation } from "../../api/operation.ts";
import { hasEnded } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import type { Action, World } from "../state/world.ts";
import { FIELD_MANAGER } from "../templates/buildJob.ts";

/**
 * Which of the Jobs that name an Operation decides about its attempt. There may be several: the dispatcher's own, and any
 * that a person made by hand from the template. docs/contract.md#job-creation, docs/contract.md#status-writes.
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
  const others = world
    .jobsOf(operation)
    .filter((job) => job.metadata.uid !== own?.metadata.uid && isOf(operation, job));
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

/**
 * Whether a Job belongs to the attempt under way. One that people made does if it is noted there, whatever labels it was
 * copied with: those of another attempt, say.
 */
function isOf(operation: VeleroOperation, { metadata: { uid, labels } }: Job): boolean {
  const { status } = operation;
  if (jobsOfAttempt(status?.runner).includes(uid)) return true;
  if (pastJobs(status).includes(uid)) return false;
  const attempt = String(attemptOf(operation));
  return (labels?.[Label.attempt] ?? attempt) === attempt;
}

/** The Jobs of which nobody has taken note yet and that may still do something: as if they had just been made. */
export function unknownJobs(operation: VeleroOperation, world: World): Job[] {
  const { status } = operation;
  const known = new Set([...jobsOfAttempt(status?.runner), ...pastJobs(status)]);
  const isGoing = ({ metadata }: Job) => metadata.deletionTimestamp !== undefined;
  return world.jobsOf(operation).filter((job) => !known.has(job.metadata.uid) && !hasEnded(job) && !isGoing(job));
}

/**
 * Whether the dispatcher made a Job, by what the API server notes of who created it. A copy of such a Job has all else:
 * name, labels, annotations, environment. Even where it was sent with what was noted of the first, who sent it was noted
 * later. docs/contract.md#who-made-a-job.
 */
export function isMadeByDispatcher({ metadata: { managedFields = [], creationTimestamp } }: Job): boolean {
  const created = Date.parse(creationTimestamp);
  const writers = managedFields
    .map(({ time = "", ...writer }) => ({ ...writer, at: Date.parse(time) }))
    .filter(({ subresource = "", at }) => subresource === "" && at <= created);
  const creation = Math.max(...writers.map(({ at }) => at));
  // To the second: whoever wrote to it in that same second does not matter.
  return writers.some(
    ({ manager, operation, at }) => manager === FIELD_MANAGER && operation === "Update" && at === creation,
  );
}

/** The Job that the dispatcher makes for the attempt; one of that name that is somebody else's does not count. */
function ownJob(operation: VeleroOperation, world: World): Job | undefined {
  const { name, uid } = operation.metadata;
  const job = world.job(jobName({ name, uid }, attemptOf(operation)));
  return job?.metadata.labels?.[Label.operation] === uid ? job : undefined;
}

/**
 * The Job whose runner was the last to join the attempt since that was resumed, or, where none has, the one that people
 * made to have the attempt; if it still exists.
 */
function lastJob(operation: VeleroOperation, world: World): Job | undefined {
  const { jobUIDs = [], requestedBy = [], resumedAfter } = operation.status?.runner ?? {};
  const joined = jobUIDs.at(-1);
  const asking = requestedBy.filter((uid) => !jobUIDs.includes(uid));
  const last = joined === undefined || joined === resumedAfter ? asking.at(-1) : joined;
  return last === undefined ? undefined : world.jobsOf(operation).find(({ metadata }) => metadata.uid === last);
}
