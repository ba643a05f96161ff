import { cancelRequested } from "../../api/cancel.ts";
import { jobName } from "../../api/names.ts";
import {
  attemptOf,
  isTerminal,
  isVeleroOperation,
  jobsOfAttempt,
  type Operation,
  operations,
  pastJobs,
  type Status,
  type VeleroOperation,
} from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { isRestoredCopy } from "../../api/restoredCopy.ts";
import { conditionOf, isAdmitted } from "../../api/status.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext, RunnerSettings } from "../context.ts";
import { AttemptOver, RunNotAllowed } from "../errors.ts";
import { readOperation } from "./attempt.ts";
import { replaceStatus } from "./writeStatus.ts";

/**
 * Joins the attempt that is under way. A Job that people made for an Operation that failed waits until the dispatcher has
 * opened another attempt for it; whether it may have one is not this run's to say. The Job's uid stands in
 * status.runner.jobUIDs before anything else is done. docs/contract.md#joining.
 *
 * @throws Refused when this run may not act, AttemptOver when there is nothing left to do, OperationGone
 */
export async function joinAttempt(context: RunnerContext): Promise<VeleroOperation> {
  const { settings } = context;
  for (;;) {
    const operation = await readOperation(context, settings.operation, settings.operation.uid);
    if (entry(operation, settings.job) === "wait") {
      await untilDecided(context, operation);
      continue;
    }
    const written = await replaceStatus(context, operation, joined(operation, settings.job));
    if (written !== undefined && isAdmittedAsIs(written)) return written;
  }
}

/** Waits for the dispatcher's word: on this Job, and on the attempt that it opened for it. */
async function untilDecided(
  { client, signal, logger, clock, settings }: RunnerContext,
  operation: VeleroOperation,
): Promise<void> {
  const { namespace, name, uid } = operation.metadata;
  logger.info({ why: whyNotAdmitted(operation.status) }, "waits for the dispatcher");
  const isDecided = (seen: Operation | undefined) =>
    seen === undefined ||
    seen.metadata.uid !== uid ||
    seen.metadata.deletionTimestamp !== undefined ||
    !isVeleroOperation(seen) ||
    !mustWait(seen, settings.job);
  await awaitCondition(client, operations, { namespace, name }, isDecided, { signal, logger, clock });
}

function mustWait(operation: VeleroOperation, job: RunnerSettings["job"]): boolean {
  try {
    return entry(operation, job) === "wait";
  } catch {
    return false;
  }
}

/**
 * What a run with this Job has to do with an Operation as it stands: join the attempt, or wait until the dispatcher has
 * opened and admitted one.
 *
 * @throws Refused, AttemptOver as {@link joinAttempt}
 */
export function entry(operation: VeleroOperation, job: RunnerSettings["job"]): "join" | "wait" {
  const { status, metadata } = operation;
  if (isRestoredCopy(operation)) {
    throw new RunNotAllowed(`not admitted: ${Reason.restoredCopy}: it came out of a backup`);
  }
  const isNoted = job.uid !== undefined && jobsOfAttempt(status?.runner).includes(job.uid);
  if (!isNoted) refuseThePast(operation, job.uid);
  if (isTerminal(status?.phase)) {
    if (status?.phase !== "Failed" || isNoted) throw new AttemptOver(operation);
    if (cancelRequested(operation)) throw new RunNotAllowed("it was cancelled: remove ops.vworkspace.io/cancel first");
    if (job.uid === undefined) throw new RunNotAllowed("run again by a Job or by ops.vworkspace.io/rerun only");
    return "wait";
  }
  // One of the dispatcher's may come so late that its uid was never written down.
  const late = Array.from({ length: attemptOf(operation) - 1 }, (_, past) => jobName(metadata, past + 1));
  if (!isNoted && late.includes(job.name ?? ""))
    throw new RunNotAllowed("an attempt, which this Job was made for, is over");
  if (isAdmittedAsIs(operation)) return "join";
  // Only a Job that people made comes before the admission, and only where the attempt was opened for one.
  if (isAdmitted(status) || jobsOfAttempt(status?.runner).length > 0) return "wait";
  throw new RunNotAllowed(whyNotAdmitted(status));
}

/** Admitted, and it is noted what: a dispatcher of an older version did not, and the present one is about to. */
function isAdmittedAsIs({ status }: Operation): boolean {
  return isAdmitted(status) && (status?.admittedSpec !== undefined || status?.engineRef?.uid !== undefined);
}

/** @throws Refused where this Job worked on an attempt that has ended */
function refuseThePast({ status }: VeleroOperation, jobUid: string | undefined): void {
  if (jobUid === undefined) return;
  const past = status?.history?.find(({ jobUIDs }) => jobUIDs?.includes(jobUid));
  if (past !== undefined) {
    throw new RunNotAllowed(`attempt ${past.attempt}, which this Job worked on, is over: ${past.reason ?? past.phase}`);
  }
  if (pastJobs(status).includes(jobUid)) throw new RunNotAllowed("an attempt, which this Job worked on, is over");
}

/** The status with this Job among those that worked on the attempt. */
function joined(operation: VeleroOperation, job: RunnerSettings["job"]): Status {
  const { runner = {}, ...rest } = operation.status ?? {};
  const { jobUIDs = [] } = runner;
  const isNew = job.uid !== undefined && !jobUIDs.includes(job.uid);
  return {
    ...rest,
    runner: {
      ...(job.name !== undefined && { jobName: job.name, jobNamespace: job.namespace }),
      ...runner,
      attempt: attemptOf(operation),
      jobUIDs: job.uid !== undefined && isNew ? [...jobUIDs, job.uid] : jobUIDs,
    },
  };
}

function whyNotAdmitted(status: Status | undefined): string {
  const blocked = conditionOf(status, ConditionType.blocked);
  const accepted = conditionOf(status, ConditionType.accepted);
  const why = blocked?.status === "True" ? blocked : accepted;
  if (why === undefined) return "not admitted: the dispatcher has not accepted it yet";
  return `not admitted: ${why.reason}: ${why.message}`;
}
