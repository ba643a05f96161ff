import { cancelDecided, cancelRequested } from "../api/cancel.ts";
import { isCrossNamespace, requestDigest } from "../api/crossNamespace.ts";
import { textDigest } from "../api/digest.ts";
import { Annotation } from "../api/labels.ts";
import { quoted } from "../api/message.ts";
import { isTerminal, jobsOfAttempt, type Status, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { conditionOf, openAttempt, resumeAttempt, runnerGaveUp, type StatusChange, timestamp } from "../api/status.ts";
import type { Job } from "../kube/resources.ts";
import { admittedChange } from "./admission/admission.ts";
import { livesOn } from "./admission/line.ts";
import { deletionOf, endedOwnJob, isMadeByDispatcher, unknownJobs } from "./jobs/jobState.ts";
import { NOTHING, unblocked, write } from "./state/statusDecision.ts";
import type { Decision, World } from "./state/world.ts";

const MAX_TOKEN = 128;
/** After so many Jobs that gave up on a cancel, each with its own retries, a person has to look. */
const MAX_CANCEL_RESUMES = 3;
/** So many attempts may follow one another at once. */
const FREE_ATTEMPTS = 3;
const PACE_MS = 10_000;
const MAX_PACE_MS = 600_000;

/**
 * An ended Operation: nothing more happens to it, unless its runner gave up before a cancel was carried out, or it failed
 * and somebody asks for another run: by a token in its annotation that was not acted on yet, or by a Job that they made and
 * that was not either. docs/contract.md#re-run, docs/contract.md#re-run-by-job.
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
  // One that the dispatcher made just before it heard of the end asks for nothing, and is told that it is over.
  const late = noted(status, jobs.filter(isMadeByDispatcher));
  const requests = jobs.filter((job) => !isMadeByDispatcher(job));
  if (cancelRequested(operation)) {
    // The runner of a Job that people made refuses by itself.
    if (token === undefined) return remark(operation, world, late);
    const message = `re-run ${quoted(token)} is refused: remove ${Annotation.cancel} first`;
    const conditions = [{ type: ConditionType.blocked, status: "True", reason: Reason.rerunRefused, message } as const];
    return write(operation, world, { conditions }, late);
  }
  if (token === undefined && requests.length === 0) return remark(operation, world, late);
  const asked = {
    ...(token !== undefined && { observedRerun: token }),
    requestedBy: requests.map(({ metadata }) => metadata.uid),
  };
  if (livesOn(operation, world)) {
    // Somebody has looked: a later cancel has all its tries again.
    const { cancelResumes: _spent, successors: _made, ...runner } = late.runner ?? {};
    return resume(operation, world, { runner, ...asked });
  }
  const due = dueAt(status);
  if (token !== undefined && requests.length === 0 && world.now < due) {
    const message = `re-run ${quoted(token)} waits until ${timestamp(due)}, after ${status.runner?.attempt} attempts that failed`;
    const conditions = [{ type: ConditionType.blocked, status: "True", reason: Reason.rerunRefused, message } as const];
    return { ...write(operation, world, { conditions }, late), lookAgainAt: due };
  }
  return openAnew(operation, world, late, asked);
}

/** A tenant may ask as often as they like, and each attempt leaves a Job: from the fourth on they come ever more rarely. */
function dueAt({ runner, finishedAt }: Status): Date {
  const failures = (runner?.attempt ?? 1) - FREE_ATTEMPTS;
  const waitMs = failures <= 0 ? 0 : Math.min(MAX_PACE_MS, PACE_MS * 2 ** (failures - 1));
  return new Date((Date.parse(finishedAt ?? "") || 0) + waitMs);
}

/** Who asked for another run. */
interface Asked {
  readonly observedRerun?: string;
  /** The uids of the Jobs that people made. */
  readonly requestedBy?: readonly string[];
}

/** A new attempt, which passes every check again. */
function openAnew(
  operation: VeleroOperation,
  world: World,
  last: Status,
  { requestedBy = [], ...change }: Asked,
): Decision {
  const opened = openAttempt(last);
  if (requestedBy.length === 0) return write(operation, world, change, opened);
  const runner = { ...opened.runner, requestedBy: [...requestedBy] };
  // Who may make Jobs here may do anything with Velero: that is a new request, with every right.
  const request = isCrossNamespace(operation) && { digest: requestDigest(operation), at: timestamp(world.now) };
  return write(operation, world, { ...change, runner }, { ...opened, ...(request && { request }) });
}

/** The status with these Jobs among those that know of the end. */
function noted(status: Status, late: readonly Job[]): Status {
  if (late.length === 0) return status;
  const jobUIDs = [...(status.runner?.jobUIDs ?? []), ...late.map(({ metadata }) => metadata.uid)];
  return { ...status, runner: { ...status.runner, jobUIDs } };
}

/** Writes down what there is to note of an attempt that stays ended; a refusal that nobody asks for any more is taken back. */
function remark(operation: VeleroOperation, world: World, late: Status): Decision {
  const blocked = conditionOf(late, ConditionType.blocked);
  const conditions = blocked?.reason === Reason.rerunRefused ? unblocked(late) : [];
  if (late === operation.status && conditions.length === 0) return NOTHING;
  return write(operation, world, { conditions }, late);
}

/**
 * The runner gave up between a cancel and its end. Once it has acted on that, it does not matter what has become of
 * Velero's object since: Velero may have completed it, which then still has to go.
 */
function isCancelUnfinished(operation: VeleroOperation, world: World): boolean {
  if (!runnerGaveUp(operation.status)) return false;
  return cancelDecided(operation) || (cancelRequested(operation) && livesOn(operation, world));
}

/**
 * Back to following Velero's object, which holds its namespace and its slot all along. The dispatcher's Job that
 * gave up goes first: whoever found it beside an attempt under way would end that once more. One made by hand stays, and is
 * noted as past.
 */
function resume(
  operation: VeleroOperation,
  world: World,
  { runner, requestedBy = [], ...change }: Pick<StatusChange, "runner"> & Asked,
): Decision {
  const old = endedOwnJob(operation, world);
  if (old?.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (old !== undefined) return { action: deletionOf(old, "it gave up, and the same attempt is to be resumed") };
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
  return write(operation, world, { ...admitted, ...change }, resumed);
}

/** The token that was not acted on yet. */
function newToken(operation: VeleroOperation): string | undefined {
  const token = rerunToken(operation);
  return token === operation.status?.observedRerun ? undefined : token;
}

/** The token as it is recorded: as it stands, or a digest of one that is too long or unprintable for a status. */
function rerunToken({ metadata: { annotations } }: VeleroOperation): string | undefined {
  const token = annotations?.[Annotation.rerun] ?? "";
  if (token === "") return undefined;
  if (token.length <= MAX_TOKEN && /^[\x20-\x7e]+$/.test(token)) return token;
  return textDigest(token);
}
