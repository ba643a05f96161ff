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
import { AttemptOver, RunMustEnd } from "../errors.ts";
import { isUntouched, readOperation } from "./attempt.ts";
import { joined } from "./joined.ts";
import { replaceStatus } from "./writeStatus.ts";

/**
 * Joins the attempt that is under way. A run whose Job people made for a failed Operation waits until the dispatcher
 * has opened an attempt for that Job: only the dispatcher decides that. The run records its Job's uid in
 * status.runner.jobUIDs before it does anything else; where it is the first of its attempt, with its first write of the
 * status, before which it changes nothing. docs/contract.md#joining.
 *
 * @throws RunMustEnd when this run may not act, AttemptOver when there is nothing left to do, OperationGone
 */
export async function joinAttempt(context: RunnerContext): Promise<VeleroOperation> {
  const { settings } = context;
  for (;;) {
    const operation = await readOperation(context, settings.operation, settings.operation.uid);
    if (joinOrWait(operation, settings.job) === "wait") {
      await awaitAdmission(context, operation);
      continue;
    }
    if (isUntouched(operation)) {
      context.latest.see(operation);
      return operation;
    }
    const written = await replaceStatus(context, operation, joined(operation, settings.job));
    if (written !== undefined && isAdmittedWithSpec(written)) return written;
  }
}

/** Waits until the dispatcher has opened an attempt for this Job and admitted it, or until the wait is pointless. */
async function awaitAdmission(
  { client, signal, logger, clock, settings }: RunnerContext,
  operation: VeleroOperation,
): Promise<void> {
  const { namespace, name, uid } = operation.metadata;
  logger.info({ why: whyNotAdmitted(operation.status) }, "waiting for the dispatcher to admit the attempt");
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
    return joinOrWait(operation, job) === "wait";
  } catch {
    return false;
  }
}

/**
 * What a run of this Job does with the Operation as it stands: it joins the attempt, or waits until the dispatcher has
 * opened and admitted one.
 *
 * @throws RunMustEnd, AttemptOver as {@link joinAttempt}
 */
export function joinOrWait(operation: VeleroOperation, job: RunnerSettings["job"]): "join" | "wait" {
  const { status, metadata } = operation;
  if (isRestoredCopy(operation)) {
    throw new RunMustEnd(`not admitted: ${Reason.restoredCopy}: it came out of a backup`);
  }
  const isNoted = job.uid !== undefined && jobsOfAttempt(status?.runner).includes(job.uid);
  if (!isNoted) checkIsNoPastJob(operation, job.uid);
  if (isTerminal(status?.phase)) {
    if (status?.phase !== "Failed" || isNoted) throw new AttemptOver(operation);
    if (cancelRequested(operation))
      throw new RunMustEnd("the Operation was cancelled: remove ops.vworkspace.io/cancel first");
    if (job.uid === undefined)
      throw new RunMustEnd(
        "the Operation has failed: only a Job or the annotation ops.vworkspace.io/rerun runs it again",
      );
    return "wait";
  }
  // A Job of the dispatcher's can start so late that its uid was never recorded: its name tells the attempt.
  const pastNames = Array.from({ length: attemptOf(operation) - 1 }, (_, past) => jobName(metadata, past + 1));
  if (!isNoted && pastNames.includes(job.name ?? ""))
    throw new RunMustEnd("the attempt that this Job was made for is over");
  if (isAdmittedWithSpec(operation)) return "join";
  // Only a Job that people made can start before the admission, and only if the attempt was opened for a Job.
  if (isAdmitted(status) || jobsOfAttempt(status?.runner).length > 0) return "wait";
  throw new RunMustEnd(whyNotAdmitted(status));
}

/**
 * Admitted, and the status says which spec. An older dispatcher did not record that; the present one is about to. An
 * attempt that has its Velero object already needs no record.
 */
function isAdmittedWithSpec({ status }: Operation): boolean {
  return isAdmitted(status) && (status?.admittedSpec !== undefined || status?.engineRef?.uid !== undefined);
}

/** @throws RunMustEnd when this Job worked on an attempt that has ended */
function checkIsNoPastJob({ status }: VeleroOperation, jobUid: string | undefined): void {
  if (jobUid === undefined) return;
  const past = status?.history?.find(({ jobUIDs }) => jobUIDs?.includes(jobUid));
  if (past !== undefined) {
    throw new RunMustEnd(`this Job worked on attempt ${past.attempt}, which is over: ${past.reason ?? past.phase}`);
  }
  if (pastJobs(status).includes(jobUid)) throw new RunMustEnd("this Job worked on an attempt that is over");
}

function whyNotAdmitted(status: Status | undefined): string {
  const blocked = conditionOf(status, ConditionType.blocked);
  const accepted = conditionOf(status, ConditionType.accepted);
  const why = blocked?.status === "True" ? blocked : accepted;
  if (why === undefined) return "not admitted: the dispatcher has not accepted the Operation yet";
  return `not admitted: ${why.reason}: ${why.message}`;
}
