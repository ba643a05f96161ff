import { cancelRequested } from "../api/cancel.ts";
import { specDigest } from "../api/digest.ts";
import { jobName } from "../api/names.ts";
import { attemptOf, isTerminal, isVeleroOperation, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { isAdmitted } from "../api/status.ts";
import { neverStarted } from "../kube/jobStatus.ts";
import type { Job } from "../kube/resources.ts";
import { admission, hindranceStatus } from "./admission/admission.ts";
import { notRestoredCopy } from "./admission/checks/restoredCopy.ts";
import { noTemplate } from "./admission/checks/template.ts";
import { firstOf, TENANCY_CHECKS } from "./admission/checks.ts";
import { pauseOf } from "./admission/pauseTarget.ts";
import { awaitedCancel } from "./jobs/awaitedCancel.ts";
import { activeJobs, deletionOf, isMadeByDispatcher, jobState } from "./jobs/jobState.ts";
import {
  endAtStartLimit,
  isStartLimitOver,
  reportedTrouble,
  reportPods,
  reportTrouble,
  runnerFailed,
  troubleMessage,
} from "./jobs/jobTroubles.ts";
import { deleteLingeringJob, deleteUnstartedJob, isLingeringAfterSuccess, lingering } from "./jobs/lingering.ts";
import { endOf, rejectionTrouble } from "./jobs/podState.ts";
import { recreateAfterRejection } from "./jobs/recreateJob.ts";
import { successor } from "./jobs/successor.ts";
import { afterEnd } from "./rerun.ts";
import { NOTHING, unblocked, write } from "./state/statusDecision.ts";
import type { Action, Decision, World } from "./state/world.ts";
import { buildJob } from "./templates/buildJob.ts";

type Guard = (operation: VeleroOperation, world: World) => Decision | undefined;

/** The first that has something to say wins. */
const guards: readonly Guard[] = [
  restoredCopy,
  deleted,
  deleteUnstartedJob,
  over,
  cancelled,
  admittedUnnoted,
  admitted,
  admission,
];

/**
 * What the dispatcher does about an Operation now: at most one write, decided on nothing but what the API server last said.
 * Whatever came before, the same world gives the same decision; a write that has happened gives the next one.
 * docs/contract.md#admission, docs/contract.md#job, docs/contract.md#status-writes.
 */
export function decide(operation: Operation, world: World): Decision {
  // A success is final, and kept without its outputs (kept.ts): whatever was written over it would erase them.
  if (!isVeleroOperation(operation)) return NOTHING;
  if (operation.status?.phase === "Succeeded") return lingering(operation, world) ?? NOTHING;
  for (const guard of guards) {
    const decision = guard(operation, world);
    if (decision !== undefined) return decision;
  }
  return NOTHING;
}

/** A copy is not judged by the status that may have come with it. docs/contract.md#restored-copy. */
function restoredCopy(operation: VeleroOperation, world: World): Decision | undefined {
  const hindrance = notRestoredCopy(operation, world);
  if (hindrance === undefined) return undefined;
  if (isTerminal(operation.status?.phase)) return NOTHING;
  return write(operation, world, hindranceStatus(operation, hindrance));
}

/** Whoever works on it sees that it goes; nothing new is begun. */
function deleted({ metadata }: VeleroOperation): Decision | undefined {
  return metadata.deletionTimestamp === undefined ? undefined : NOTHING;
}

/** What somebody asks of an ended Operation comes before what it has left running: that may run for a day. */
function over(operation: VeleroOperation, world: World): Decision | undefined {
  const next = afterEnd(operation, world);
  if (next === undefined) return undefined;
  const { action } = next;
  if (action === undefined) return { ...lingering(operation, world), ...next };
  const opens =
    action.kind === "writeStatus" && attemptOf({ ...operation, status: action.status }) !== attemptOf(operation);
  return (opens ? deleteLingeringJob(operation, world) : undefined) ?? next;
}

/**
 * Ends a cancelled Operation of which nothing has begun. Where a runner may have begun, it alone knows what is to be
 * undone, and the guards that follow make sure that there is one. docs/contract.md#cancel.
 */
function cancelled(operation: VeleroOperation, world: World): Decision | undefined {
  if (!cancelRequested(operation) || hasBegun(operation)) return undefined;
  const jobs = isAdmitted(operation.status) ? activeJobs(operation, world) : [];
  if (jobs.some((job) => !neverStarted(job, world.podsOf(job)))) return undefined;
  // The runner of one made by hand finds the cancel when it starts, and refuses.
  const own = jobs.filter(isMadeByDispatcher);
  const job = own.find(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (job !== undefined) return { action: deletionOf(job, "its Operation is cancelled and it never started") };
  if (own.length > 0) return NOTHING;
  const because = { reason: Reason.cancelledByUser, message: "cancelled before anything was begun" };
  return write(operation, world, {
    phase: "Failed",
    conditions: [
      ...unblocked(operation.status),
      { type: ConditionType.cancelled, status: "True", ...because },
      { type: ConditionType.running, status: "False", ...because },
    ],
  });
}

/**
 * Admitted by a version of this program that noted not what: nothing is made for it before it has passed again what keeps
 * tenants apart. It keeps its place meanwhile. docs/contract.md#admitted-spec.
 */
function admittedUnnoted(operation: VeleroOperation, world: World): Decision | undefined {
  const { status, spec } = operation;
  if (!isAdmitted(status) || status?.admittedSpec !== undefined || status?.engineRef?.uid !== undefined)
    return undefined;
  const hindrance = firstOf(TENANCY_CHECKS, operation, world);
  if (hindrance !== undefined) return write(operation, world, hindranceStatus(operation, hindrance));
  return write(operation, world, { admittedSpec: specDigest(spec) });
}

/** An admitted Operation has a Job until it ends; what the Job cannot tell any more is told for it. */
function admitted(operation: VeleroOperation, world: World): Decision | undefined {
  if (!isAdmitted(operation.status)) return undefined;
  const state = jobState(operation, world);
  switch (state.kind) {
    case "missing":
      return withoutJob(operation, world);
    case "stale":
      return { action: deletionOf(state.job, "it is past, and the attempt is to have another Job") };
    case "active":
      return whilePaused(operation, world, reportPods(operation, world, state.jobs));
    case "ended":
      return afterJob(operation, world, state.job);
  }
}

/** A cancel counts from here, also where the Job that is to carry it out cannot be made. */
function withoutJob(operation: VeleroOperation, world: World): Decision {
  if (isStartLimitOver(operation, world)) return endAtStartLimit(operation, world, []);
  const { trouble } = reportedTrouble(operation);
  const state = trouble ? ({ kind: "trouble", ...trouble } as const) : ({ kind: "starting", hasPod: false } as const);
  const conditions = awaitedCancel(operation, world, troubleMessage(state));
  const remembered = conditions.length === 0 ? NOTHING : write(operation, world, { conditions });
  const first = whilePaused(operation, world, remembered);
  return first.action === undefined ? createJob(operation, world) : first;
}

/** Unless nodes alone are to blame or Velero has something of it, the attempt ends with its Job. */
function afterJob(operation: VeleroOperation, world: World, job: Job): Decision {
  const followed = successor(operation, job, reportedTrouble(operation).trouble, world);
  if (followed !== undefined) return followed;
  const at = recreateAfterRejection(operation, job, world);
  if (at === undefined) return gaveUp(operation, job, world);
  if (job.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (at <= world.now) return { action: deletionOf(job, "nodes had rejected its pods, and it is made again") };
  return reportTrouble(operation, world, { kind: "trouble", ...rejectionTrouble(job, world, at), lookAgainAt: at }, []);
}

/** Its target is paused as soon as there is nothing else to be written, and again where Velero has brought it back unpaused. */
function whilePaused(operation: VeleroOperation, world: World, decision: Decision): Decision {
  const pause = decision.action === undefined ? pauseOf(operation, world) : undefined;
  return pause === undefined ? decision : { ...decision, action: pause };
}

/** Nothing of Velero's is left to be followed, and nobody has told how the attempt ended. */
function gaveUp(operation: VeleroOperation, job: Job, world: World): Decision {
  const { trouble } = reportedTrouble(operation);
  const told = trouble?.reason === Reason.runnerFailed ? undefined : trouble;
  return write(operation, world, runnerFailed(endOf(job, world, told)));
}

function createJob(operation: VeleroOperation, world: World): Decision {
  const { name, uid } = operation.metadata;
  const attempt = attemptOf(operation);
  const template = world.templates[operation.spec.type];
  if (template.ok) {
    const manifest = buildJob(operation, template.template, world.settings, attempt);
    return { action: { kind: "createJob", name: jobName({ name, uid }, attempt), manifest } };
  }
  if (!hasBegun(operation)) return write(operation, world, hindranceStatus(operation, noTemplate(template.problem)));
  // Velero goes on meanwhile, so it stays accepted: it keeps its place, and a mended template gets it a Job again.
  return reportTrouble(
    operation,
    world,
    { kind: "trouble", reason: Reason.templateInvalid, message: template.problem },
    [],
  );
}

/** A runner works on this attempt, so there may be an object of Velero's. */
function hasBegun({ status }: VeleroOperation): boolean {
  return status?.engineRef !== undefined || (isAdmitted(status) && (status?.runner?.jobUIDs ?? []).length > 0);
}

/**
 * What to do with a Job whose Operation (the very one, by its uid) is gone. One of whose containers ever started is
 * cleaning up, or has done so; its own ttl removes it, unless another container keeps it from ending. After an eviction
 * neither Job nor pods tell of that any more, but what it has made does. docs/contract.md#orphaned-jobs.
 *
 * @returns the deletion of the Job, or undefined when it is to be left alone
 */
export function decideOrphan(job: Job, world: World): Extract<Action, { kind: "deleteJob" }> | undefined {
  if (job.metadata.deletionTimestamp !== undefined) return undefined;
  if (isLingeringAfterSuccess(job, world)) return deletionOf(job, "its Operation is gone and its runner is done");
  if (!neverStarted(job, world.podsOf(job))) return undefined;
  if (world.veleroObjectsOf(job).length > 0) return undefined;
  return deletionOf(job, "its Operation is gone and it never started");
}
