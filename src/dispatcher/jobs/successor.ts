import type { VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { timestamp } from "../../api/status.ts";
import { isAtWork } from "../../api/velero.ts";
import { endOfJob } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import { write } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { awaitedCancel } from "./awaitedCancel.ts";
import { endOf, type Trouble } from "./podState.ts";

/** How long after the end of a Job its successor is made: it doubles each time, in milliseconds. */
const FIRST_DELAY_MS = 10_000;
const MAX_DELAY_MS = 600_000;
/** Where Velero is done, a runner only has to say so: after so many that could not, a person has to look. */
const MAX_SUCCESSORS_AFTER_THE_END = 3;

/**
 * What follows a Job that ended before the attempt did, while there is a Velero object whose end is still to be told:
 * another Job, later each time, for as long as Velero is at work. docs/contract.md#successors.
 *
 * @param told what the status says of trouble with the Job
 * @returns undefined where nothing was made of Velero's, or nobody came to tell what became of it: the attempt has failed
 */
export function successor(
  operation: VeleroOperation,
  job: Job,
  told: Trouble | undefined,
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
    const follows = `a new Job follows at ${timestamp(due)}, since Velero's object is still to be followed`;
    // Told once: what is left of the pods tells less later.
    const isTold = told?.reason === Reason.runnerFailed;
    const message = isTold ? told.message : `${follows}; ${endOf(job, world, told)}`;
    const waiting = { type: ConditionType.running, status: "False", reason: Reason.runnerFailed, message } as const;
    const conditions = [waiting, ...awaitedCancel(operation, world, follows)];
    return { ...write(operation, world, { conditions }), lookAgainAt: due };
  }
  // The one that gave up is past from here on, also where its runner never wrote down that it was there.
  const message = `Job ${job.metadata.name} gave up, a new one goes on with Velero's object`;
  return write(operation, world, {
    runner: {
      ...runner,
      jobUIDs: [...jobUIDs.filter((one) => one !== uid), uid],
      resumedAfter: uid,
      successors: successors + 1,
    },
    conditions: [{ type: ConditionType.running, status: "False", reason: Reason.pending, message }],
  });
}
