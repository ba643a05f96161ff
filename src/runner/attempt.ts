import { cancelRequested } from "../api/cancel.ts";
import { isCrossNamespace, requestDigest } from "../api/crossNamespace.ts";
import { jobName } from "../api/names.ts";
import {
  attemptOf,
  isTerminal,
  type Operation,
  operations,
  type Status,
  type VeleroOperation,
} from "../api/operation.ts";
import { backupParametersSchema, parseParameters, restoreParametersSchema } from "../api/parameters.ts";
import { ConditionType, Reason, veleroReason } from "../api/reasons.ts";
import { isRestoredCopy } from "../api/restoredCopy.ts";
import { conditionOf, isAdmitted, nextStatus, openAttempt, resumeAttempt, timestamp } from "../api/status.ts";
import { isAtWork } from "../api/velero.ts";
import { awaitCondition } from "../kube/wait.ts";
import { findConflict } from "./conflicts.ts";
import type { RunnerContext, RunnerSettings } from "./context.ts";
import { AttemptOver, Refused } from "./endings.ts";
import { findOwn } from "./own.ts";
import { readOperation } from "./request.ts";
import { replaceStatus } from "./statusWriter.ts";

/**
 * Joins the attempt that is under way, or opens a new one when this Job was made by hand for an Operation that failed. In
 * either case the Job's uid stands in status.runner.jobUIDs before anything else is done. docs/contract.md, Runner 1.
 *
 * @throws Refused when this run may not act, AttemptOver when there is nothing left to do, OperationGone
 */
export async function joinAttempt(context: RunnerContext): Promise<VeleroOperation> {
  const { settings } = context;
  for (;;) {
    const operation = await readOperation(context, settings.operation, settings.operation.uid);
    const what = entry(operation, settings.job);
    if (what === "wait") {
      await untilDecided(context, operation);
      continue;
    }
    const status = what === "join" ? joined(operation, settings.job) : await again(context, operation);
    const written = await replaceStatus(context, operation, status);
    if (written !== undefined && isAdmittedAsIs(written)) return written;
  }
}

/** Waits for the dispatcher's word on an attempt that was opened by hand: a re-run passes every check again. */
async function untilDecided(
  { client, signal, logger, clock }: RunnerContext,
  operation: VeleroOperation,
): Promise<void> {
  const { namespace, name, uid } = operation.metadata;
  logger.info({ why: whyNotAdmitted(operation.status) }, "waits to be admitted");
  await awaitCondition(
    client,
    operations,
    { namespace, name },
    (seen) =>
      seen?.metadata.uid !== uid ||
      seen.metadata.deletionTimestamp !== undefined ||
      isAdmittedAsIs(seen) ||
      isTerminal(seen.status?.phase),
    { signal, logger, clock },
  );
}

/**
 * What a run with this Job has to do with an Operation as it stands: join the attempt, run a failed one again, or wait
 * until an attempt that was opened by hand is admitted.
 *
 * @throws Refused, AttemptOver as {@link joinAttempt}
 */
export function entry(operation: VeleroOperation, job: RunnerSettings["job"]): "join" | "again" | "wait" {
  const { status } = operation;
  if (isRestoredCopy(operation)) {
    throw new Refused(`not admitted: ${Reason.restoredCopy}: it came out of a backup`);
  }
  const past = status?.history?.find((ended) => workedOn(operation, ended, job));
  if (past !== undefined) {
    throw new Refused(`attempt ${past.attempt}, which this Job worked on, is over: ${past.reason ?? past.phase}`);
  }
  if (workedOnOmitted(operation, job)) throw new Refused("an attempt, which this Job worked on, is over");
  if (isTerminal(status?.phase)) {
    const known = job.uid !== undefined && status?.runner?.jobUIDs?.includes(job.uid);
    if (status?.phase !== "Failed" || known) throw new AttemptOver(operation);
    if (!wasAdmitted(operation)) throw new Refused(whyNotAdmitted(status));
    return "again";
  }
  if (isAdmittedAsIs(operation)) return "join";
  if (isAdmitted(status)) return "wait";
  // Only a Job made by hand comes before the admission, and only by opening the attempt.
  if ((status?.runner?.jobUIDs ?? []).length > 0) return "wait";
  throw new Refused(whyNotAdmitted(status));
}

/** Admitted, and it is noted what: a dispatcher of an older version did not, and the present one is about to. */
function isAdmittedAsIs({ status }: Operation): boolean {
  return isAdmitted(status) && (status?.admittedSpec !== undefined || status?.engineRef?.uid !== undefined);
}

/**
 * Whether this Job belongs to an attempt that has ended. A name says so only where the dispatcher gave it: people may use
 * theirs again, and a Job of the dispatcher's may come so late that its uid was never written down.
 */
function workedOn(
  { metadata }: VeleroOperation,
  ended: { attempt: number; jobUIDs?: readonly string[] | undefined },
  job: RunnerSettings["job"],
): boolean {
  if (job.uid !== undefined && ended.jobUIDs?.includes(job.uid) === true) return true;
  return job.name === jobName(metadata, ended.attempt);
}

/** The same for the attempts that the history has no room for. */
function workedOnOmitted({ metadata, status }: VeleroOperation, job: RunnerSettings["job"]): boolean {
  const { attempts = 0, jobUIDs = [] } = status?.historyOmitted ?? {};
  if (job.uid !== undefined && jobUIDs.includes(job.uid)) return true;
  for (let attempt = 1; attempt <= attempts; attempt += 1) if (job.name === jobName(metadata, attempt)) return true;
  return false;
}

/** The status with which a run that was made by hand works on an Operation that failed. */
async function again(context: RunnerContext, operation: VeleroOperation): Promise<Status> {
  if (cancelRequested(operation)) throw new Refused("it was cancelled: remove ops.vworkspace.io/cancel first");
  if (context.settings.job.uid === undefined)
    throw new Refused("run again by a Job or by ops.vworkspace.io/rerun only");
  const { status = {} } = operation;
  const { job } = context.settings;
  const begun = { now: context.clock.now(), generation: operation.metadata.generation };
  const running = {
    type: ConditionType.running,
    status: "False",
    reason: Reason.pending,
    message: "to be run again by a Job made by hand",
  } as const;

  if (await stillLives(context, operation)) {
    const resumed = { ...operation, status: resumeAttempt(status) };
    const runner = { ...joined(resumed, job).runner, jobName: job.name, jobNamespace: job.namespace };
    return nextStatus(resumed.status, { runner, conditions: [running] }, begun);
  }

  const problem = parametersProblem(operation);
  if (problem !== undefined) throw new Refused(`not admitted: ${Reason.validationFailed}: ${problem}`);
  const conflict = await findConflict(context, operation);
  if (conflict !== undefined) throw new Refused(`not admitted: ${Reason.conflictingOperation}: ${conflict}`);
  const opened = openAttempt(status);
  const { runner } = joined({ ...operation, status: opened }, job);
  // Who may make Jobs here may do anything with Velero: that is a new request, with every right.
  const request = isCrossNamespace(operation)
    ? { digest: requestDigest(operation), at: timestamp(begun.now) }
    : undefined;
  return nextStatus(opened, { runner: runner ?? {}, conditions: [running], ...(request && { request }) }, begun);
}

/** The runner gave up, Velero did not: its object is still under way. */
async function stillLives(context: RunnerContext, operation: VeleroOperation): Promise<boolean> {
  if (conditionOf(operation.status, ConditionType.failed)?.reason !== Reason.runnerFailed) return false;
  const own = await findOwn(context, operation);
  return own.kind === "found" && isAtWork(own.object);
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

/** It passed the checks in its last attempt, even if Velero itself then refused it. */
function wasAdmitted({ status, spec }: VeleroOperation): boolean {
  const refusedByVelero = veleroReason(spec.type, "ValidationFailed");
  return isAdmitted(status) || conditionOf(status, ConditionType.accepted)?.reason === refusedByVelero;
}

function whyNotAdmitted(status: Status | undefined): string {
  const blocked = conditionOf(status, ConditionType.blocked);
  const accepted = conditionOf(status, ConditionType.accepted);
  const why = blocked?.status === "True" ? blocked : accepted;
  if (why === undefined) return "not admitted: the dispatcher has not accepted it yet";
  return `not admitted: ${why.reason}: ${why.message}`;
}

function parametersProblem({ spec }: VeleroOperation): string | undefined {
  const parsed =
    spec.type === "Backup"
      ? parseParameters(backupParametersSchema, spec.parameters)
      : parseParameters(restoreParametersSchema, spec.parameters);
  return parsed.ok ? undefined : parsed.message;
}
