import { jobReference } from "../../api/announcements.ts";
import { isTerminal, type VeleroOperation } from "../../api/operation.ts";
import { endedWithoutResult } from "../../api/status.ts";
import { podHasEnded } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import { NOTHING } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";
import { deletionOf, unfinishedOwnJob } from "./jobState.ts";
import { lingeringContainer, lingeringText } from "./silentTrouble.ts";

const DAY_SECONDS = 86_400;

/**
 * Deletes the Job of an attempt that ended at limits.maxStartTime, before anything else is decided about its Operation: if the
 * attempt were resumed, this Job would count as its active one. docs/contract.md#start-limit.
 *
 * @returns undefined if there is no such Job
 */
export function deleteUnstartedJob(operation: VeleroOperation, world: World): Decision | undefined {
  const job = unfinishedJob(operation, world);
  if (job === undefined || !endedWithoutResult(operation.status)) return undefined;
  if (!operation.status?.runner?.jobUIDs?.includes(job.metadata.uid)) return undefined;
  if (job.metadata.deletionTimestamp !== undefined) return NOTHING;
  return { action: deletionOf(job, "the attempt ended before a runner of this Job was at work") };
}

/**
 * Reports a Job of an ended Operation that only another container keeps from ending, and deletes the Job when its
 * ttlSecondsAfterFinished would have been over. docs/contract.md#start-limit.
 *
 * @returns undefined if there is no such Job
 */
export function lingering(operation: VeleroOperation, world: World): Decision | undefined {
  const job = unfinishedJob(operation, world);
  if (job === undefined) return undefined;
  const found = lingeringPod(job, world);
  if (found === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
  const { from, at, text } = found;
  const goesAt = new Date(from.getTime() + (job.spec?.ttlSecondsAfterFinished ?? DAY_SECONDS) * 1000);
  if (world.now < from) return { lookAgainAt: from };
  if (world.now >= goesAt) return { action: deletionOf(job, text) };
  const related = jobReference(job.metadata.name, job.metadata.namespace, job.metadata.uid);
  const announcement = {
    type: "Warning",
    reason: "ContainerStillRuns",
    action: "DeleteJob",
    related,
    message: text,
    at,
  } as const;
  return { action: { kind: "announce", announcement }, lookAgainAt: goesAt };
}

/** Deletes such a Job at once when a new attempt is about to begin: the dispatcher would not look at the Job again. */
export function deleteLingeringJob(operation: VeleroOperation, world: World): Decision | undefined {
  const job = unfinishedJob(operation, world);
  if (job === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
  if (!operation.status?.runner?.jobUIDs?.includes(job.metadata.uid)) return undefined;
  const found = lingeringPod(job, world);
  return found && { action: deletionOf(job, `${found.text}; a new attempt of its Operation begins`) };
}

/** Whether the runner of a Job has exited with code 0, and only another container keeps its pod from ending. */
export function isLingeringAfterSuccess(job: Job, { podsOf }: Pick<World, "podsOf">): boolean {
  const left = podsOf(job).filter((pod) => !podHasEnded(pod));
  return (
    left.length > 0 &&
    (job.status?.active ?? 0) <= left.length &&
    left.every((pod) => {
      const runner = pod.status?.containerStatuses?.find(({ name }) => name === RUNNER_CONTAINER);
      return runner?.state?.terminated?.exitCode === 0 && lingeringContainer(pod) !== undefined;
    })
  );
}

function unfinishedJob(operation: VeleroOperation, world: World): Job | undefined {
  return isTerminal(operation.status?.phase) ? unfinishedOwnJob(operation, world) : undefined;
}

function lingeringPod(job: Job, { podsOf }: Pick<World, "podsOf">) {
  const [pod, ...others] = podsOf(job).filter((each) => !podHasEnded(each));
  const container = pod && lingeringContainer(pod);
  if (pod === undefined || container === undefined || others.length > 0) return undefined;
  return { from: container.from, at: container.since, text: lingeringText(pod, container.name) };
}
