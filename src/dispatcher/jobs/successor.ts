import type { VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { timestamp } from "../../api/status.ts";
import { isAtWork } from "../../api/velero.ts";
import { endOfJob } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import { decideStatus } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { awaitedCancel } from "./awaitedCancel.ts";
import { endOf, type Trouble } from "./podState.ts";

/** How long after the end of a Job the dispatcher makes its successor; the time doubles with each one. */
const FIRST_DELAY_MS = 10_000;
const MAX_DELAY_MS = 600_000;
/** Once Velero is done, a runner only has to report the result. After this many that could not, a person has to look. */
const MAX_SUCCESSORS_AFTER_THE_END = 3;

/**
 * Has another Job made after one that gave up while the attempt has a Velero object: later each time, and for as long as Velero
 * is at work. This records that the Job counts as past; the next decisions then find it stale, delete it, find none, and create
 * the successor (jobState.ts, decide.ts). Without a Velero object see recreateJob.ts. docs/contract.md#successors.
 *
 * @param reported the trouble with the Job that the status reports
 * @returns undefined if the attempt has no Velero object, or if too many successors could not report its result: the attempt
 *   has failed
 */
export function successor(
  operation: VeleroOperation,
  job: Job,
  reported: Trouble | undefined,
  world: World,
): Decision | undefined {
  const { runner = {}, engineRef } = operation.status ?? {};
  const { successors = 0, jobUIDs = [] } = runner;
  const object = world.veleroObject(operation);
  if (object === undefined && engineRef?.uid === undefined) return undefined;
  if (!isAtWork(object) && successors >= MAX_SUCCESSORS_AFTER_THE_END) return undefined;

  const due = new Date(endOfJob(job).getTime() + Math.min(FIRST_DELAY_MS * 2 ** successors, MAX_DELAY_MS));
  const { uid } = job.metadata;
  if (world.now < due) {
    const follows = `the dispatcher makes a new Job at ${timestamp(due)} to follow the Velero object further`;
    // Written once: the pods that explain it may be gone later.
    const isReported = reported?.reason === Reason.runnerFailed;
    const message = isReported ? reported.message : `${follows}; ${endOf(job, world, reported)}`;
    const waiting = { type: ConditionType.running, status: "False", reason: Reason.runnerFailed, message } as const;
    const conditions = [waiting, ...awaitedCancel(operation, world, follows)];
    return { ...decideStatus(operation, world, { conditions }), lookAgainAt: due };
  }
  // From here on the Job that gave up counts as past, even if its runner never recorded its UID.
  const message = `Job ${job.metadata.name} gave up; a new Job goes on following the Velero object`;
  return decideStatus(operation, world, {
    runner: {
      ...runner,
      jobUIDs: [...jobUIDs.filter((one) => one !== uid), uid],
      resumedAfter: uid,
      successors: successors + 1,
    },
    conditions: [{ type: ConditionType.running, status: "False", reason: Reason.pending, message }],
  });
}
