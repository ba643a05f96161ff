import { cancelDecided, cancelRequested } from "../api/cancel.ts";
import { isCrossNamespace, requestDigest } from "../api/crossNamespace.ts";
import { textDigest } from "../api/digest.ts";
import { Annotation } from "../api/labels.ts";
import { quoted } from "../api/message.ts";
import { isTerminal, jobsOfAttempt, type Status, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import {
  conditionOf,
  endedWithoutResult,
  openAttempt,
  resumeAttempt,
  type StatusChange,
  timestamp,
} from "../api/status.ts";
import type { Job } from "../kube/resources.ts";
import { admittedChange } from "./admission/admission.ts";
import { livesOn } from "./admission/entrants.ts";
import { deletionOf, endedOwnJob, isMadeByDispatcher, unknownJobs } from "./jobs/jobState.ts";
import { decideStatus, NOTHING, unblocked } from "./state/statusDecision.ts";
import type { Decision, World } from "./state/world.ts";

const MAX_TOKEN = 128;
/** After this many Jobs that gave up during a cancel, each after retries of its own, a person has to look. */
const MAX_CANCEL_RESUMES = 3;
/** This many attempts may follow each other without a pause. */
const FREE_ATTEMPTS = 3;
const PACE_MS = 10_000;
const MAX_PACE_MS = 600_000;

/**
 * Decides what happens after the end of an Operation. Nothing, except in two cases: its runner gave up before a cancel was carried
 * out, or it failed and somebody asks for another run. They ask by a new value of the annotation `rerun`, or by a Job made by
 * hand. docs/contract.md#re-run, docs/contract.md#re-run-by-job.
 *
 * @returns undefined for an Operation that has not ended
 */
export function afterEnd(operation: VeleroOperation, world: World): Decision | undefined {
  const { status } = operation;
  if (status === undefined || !isTerminal(status.phase)) return undefined;
  const { cancelResumes = 0 } = status.runner ?? {};
  if (cancelResumes < MAX_CANCEL_RESUMES && isCancelUnfinished(operation, world)) {
    return resume(operation, world, { runner: { ...status.runner, cancelResumes: cancelResumes + 1 } });
  }
  if (status.phase !== "Failed") return NOTHING;
  const token = newToken(operation);
  const jobs = unknownJobs(operation, world);
  // A Job that the dispatcher made just before its watch showed the end asks for nothing. The status lists it, so that its
  // runner knows that it comes too late.
  const withLateJobs = listJobs(status, jobs.filter(isMadeByDispatcher));
  const requests = jobs.filter((job) => !isMadeByDispatcher(job));
  if (cancelRequested(operation)) {
    // The runner of a Job made by hand finds the cancel itself, and exits.
    if (token === undefined) return recordLateJobs(operation, world, withLateJobs);
    const message = `re-run ${quoted(token)} cannot begin: remove ${Annotation.cancel} first`;
    const conditions = [{ type: ConditionType.blocked, status: "True", reason: Reason.rerunRefused, message } as const];
    return decideStatus(operation, world, { conditions }, withLateJobs);
  }
  if (token === undefined && requests.length === 0) return recordLateJobs(operation, world, withLateJobs);
  const asked = {
    ...(token !== undefined && { observedRerun: token }),
    requestedBy: requests.map(({ metadata }) => metadata.uid),
  };
  if (livesOn(operation, world)) {
    // A person has asked for this run, so a later cancel has all its retries again.
    const { cancelResumes: _spent, successors: _made, ...runner } = withLateJobs.runner ?? {};
    return resume(operation, world, { runner, ...asked });
  }
  const due = dueAt(status);
  if (token !== undefined && requests.length === 0 && world.now < due) {
    const message = `re-run ${quoted(token)} waits until ${timestamp(due)}, because ${status.runner?.attempt} attempts have failed`;
    const conditions = [{ type: ConditionType.blocked, status: "True", reason: Reason.rerunRefused, message } as const];
    return { ...decideStatus(operation, world, { conditions }, withLateJobs), lookAgainAt: due };
  }
  return openAnew(operation, world, withLateJobs, asked);
}

/**
 * When the next attempt may begin. A tenant may ask as often as they like, and each attempt leaves a Job: so from the fourth on
 * the pause before an attempt grows.
 */
function dueAt({ runner, finishedAt }: Status): Date {
  const failures = (runner?.attempt ?? 1) - FREE_ATTEMPTS;
  const waitMs = failures <= 0 ? 0 : Math.min(MAX_PACE_MS, PACE_MS * 2 ** (failures - 1));
  return new Date((Date.parse(finishedAt ?? "") || 0) + waitMs);
}

/** The requests for another run. */
interface Asked {
  readonly observedRerun?: string;
  /** The UIDs of the Jobs that people made. */
  readonly requestedBy?: readonly string[];
}

/** Opens a new attempt, which has to pass every check again. */
function openAnew(
  operation: VeleroOperation,
  world: World,
  last: Status,
  { requestedBy = [], ...change }: Asked,
): Decision {
  const opened = openAttempt(last);
  if (requestedBy.length === 0) return decideStatus(operation, world, change, opened);
  const runner = { ...opened.runner, requestedBy: [...requestedBy] };
  // Whoever may create Jobs in this namespace has all the runners' rights anyway. So such a Job asks anew, as somebody who
  // has the right to the source namespace.
  const request = isCrossNamespace(operation) && { digest: requestDigest(operation), at: timestamp(world.now) };
  return decideStatus(operation, world, { ...change, runner }, { ...opened, ...(request && { request }) });
}

/** Adds these Jobs to `runner.jobUIDs`: their runners then know that the attempt has ended. */
function listJobs(status: Status, late: readonly Job[]): Status {
  if (late.length === 0) return status;
  const jobUIDs = [...(status.runner?.jobUIDs ?? []), ...late.map(({ metadata }) => metadata.uid)];
  return { ...status, runner: { ...status.runner, jobUIDs } };
}

/** Records late Jobs of an attempt that stays ended, and clears RerunRefused once nobody asks for a re-run any more. */
function recordLateJobs(operation: VeleroOperation, world: World, withLateJobs: Status): Decision {
  const blocked = conditionOf(withLateJobs, ConditionType.blocked);
  const conditions = blocked?.reason === Reason.rerunRefused ? unblocked(withLateJobs) : [];
  if (withLateJobs === operation.status && conditions.length === 0) return NOTHING;
  return decideStatus(operation, world, { conditions }, withLateJobs);
}

/**
 * Whether a runner gave up before it had carried out a cancel. Once the cancel is recorded, the state of the Velero object does not
 * matter: even a backup that Velero has completed since must still be removed.
 */
function isCancelUnfinished(operation: VeleroOperation, world: World): boolean {
  if (!endedWithoutResult(operation.status)) return false;
  return cancelDecided(operation) || (cancelRequested(operation) && livesOn(operation, world));
}

/**
 * Resumes the attempt, whose Velero object has held its namespace and its slot all along. First the dispatcher deletes its own Job
 * that gave up: beside an attempt under way, that Job would end the attempt once more. A Job made by hand stays, and counts as
 * past.
 */
function resume(
  operation: VeleroOperation,
  world: World,
  { runner, requestedBy = [], ...change }: Pick<StatusChange, "runner"> & Asked,
): Decision {
  const old = endedOwnJob(operation, world);
  if (old?.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (old !== undefined) return { action: deletionOf(old, "it gave up, and the same attempt is resumed") };
  const { requestedBy: _before, ...going } = runner ?? {};
  const jobUIDs = jobsOfAttempt(runner);
  const resumedAfter = jobUIDs.at(-1);
  const past = {
    ...going,
    ...(resumedAfter !== undefined && { jobUIDs, resumedAfter }),
    ...(requestedBy.length > 0 && { requestedBy: [...requestedBy] }),
  };
  const resumed = resumeAttempt({ ...operation.status, runner: past });
  const admitted = admittedChange({ ...operation, status: resumed }, world);
  return decideStatus(operation, world, { ...admitted, ...change }, resumed);
}

/** The token, if the dispatcher has not acted on it yet. */
function newToken(operation: VeleroOperation): string | undefined {
  const token = rerunToken(operation);
  return token === operation.status?.observedRerun ? undefined : token;
}

/** The token as the status records it: unchanged, or as a digest if it is too long or not printable. */
function rerunToken({ metadata: { annotations } }: VeleroOperation): string | undefined {
  const token = annotations?.[Annotation.rerun] ?? "";
  if (token === "") return undefined;
  if (token.length <= MAX_TOKEN && /^[\x20-\x7e]+$/.test(token)) return token;
  return textDigest(token);
}
