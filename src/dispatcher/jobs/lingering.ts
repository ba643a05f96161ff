import { isTerminal, type VeleroOperation } from "../../api/operation.ts";
import { runnerGaveUp } from "../../api/status.ts";
import type { Job } from "../../kube/resources.ts";
import { NOTHING } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";
import { deletionOf, unfinishedOwnJob } from "./jobState.ts";
import { hasEnded, outlivingContainer, outlivingText } from "./overduePods.ts";

const DAY_SECONDS = 86_400;

/**
 * A Job that was given up goes, before anything else is done about its Operation: an attempt that is resumed would find it at
 * work. docs/contract.md#start-limit.
 *
 * @returns undefined where there is none
 */
export function givenUp(operation: VeleroOperation, world: World): Decision | undefined {
  const job = leftJob(operation, world);
  if (job === undefined || !runnerGaveUp(operation.status)) return undefined;
  if (!operation.status?.runner?.jobUIDs?.includes(job.metadata.uid)) return undefined;
  if (job.metadata.deletionTimestamp !== undefined) return NOTHING;
  return { action: deletionOf(job, "no runner of it came to work, and the attempt has ended") };
}

/**
 * A Job of an Operation that has ended, which another container keeps from ending, is told of, and goes when its time to live
 * would have been over. docs/contract.md#start-limit.
 *
 * @returns undefined where there is none
 */
export function lingering(operation: VeleroOperation, world: World): Decision | undefined {
  const job = leftJob(operation, world);
  if (job === undefined) return undefined;
  const found = outlivedBy(job, world);
  if (found === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
  const { from, at, text } = found;
  const goesAt = new Date(from.getTime() + (job.spec?.ttlSecondsAfterFinished ?? DAY_SECONDS) * 1000);
  if (world.now < from) return { lookAgainAt: from };
  if (world.now >= goesAt) return { action: deletionOf(job, text) };
  const announcement = { type: "Warning", reason: "ContainerStillRuns", message: text, at } as const;
  return { action: { kind: "announce", announcement }, lookAgainAt: goesAt };
}

/** Such a Job goes at once where another attempt is to begin: after that nobody would look at it any more. */
export function outlived(operation: VeleroOperation, world: World): Decision | undefined {
  const job = leftJob(operation, world);
  if (job === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
  if (!operation.status?.runner?.jobUIDs?.includes(job.metadata.uid)) return undefined;
  const found = outlivedBy(job, world);
  return found && { action: deletionOf(job, `${found.text}; its Operation is run again`) };
}

/** Whether the runner of a Job has done what there was to do, and another container of its pod goes on. */
export function isOutlivedAndDone(job: Job, { podsOf }: Pick<World, "podsOf">): boolean {
  const left = podsOf(job).filter((pod) => !hasEnded(pod));
  return (
    left.length > 0 &&
    (job.status?.active ?? 0) <= left.length &&
    left.every((pod) => {
      const runner = pod.status?.containerStatuses?.find(({ name }) => name === RUNNER_CONTAINER);
      return runner?.state?.terminated?.exitCode === 0 && outlivingContainer(pod) !== undefined;
    })
  );
}

function leftJob(operation: VeleroOperation, world: World): Job | undefined {
  return isTerminal(operation.status?.phase) ? unfinishedOwnJob(operation, world) : undefined;
}

function outlivedBy(job: Job, { podsOf }: Pick<World, "podsOf">) {
  const [pod, ...others] = podsOf(job).filter((one) => !hasEnded(one));
  const container = pod && outlivingContainer(pod);
  if (pod === undefined || container === undefined || others.length > 0) return undefined;
  return { from: container.from, at: container.since, text: outlivingText(pod, container.name) };
}
