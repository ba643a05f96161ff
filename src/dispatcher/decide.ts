import { cancelRequested } from "../api/cancel.ts";
import { specDigest } from "../api/digest.ts";
import { jobName } from "../api/names.ts";
import { attemptOf, isTerminal, isVeleroOperation, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { isAdmitted } from "../api/status.ts";
import { neverStarted } from "../kube/jobStatus.ts";
import type { Job } from "../kube/resources.ts";
import { admission, hindranceStatus } from "./admission/admission.ts";
import { notRestoredCopy } from "./admission/checks/notRestoredCopy.ts";
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
import { reportIdleVelero } from "./jobs/veleroIdle.ts";
import { afterEnd } from "./rerun.ts";
import { decideStatus, NOTHING, unblocked } from "./state/statusDecision.ts";
import type { Action, Decision, World } from "./state/world.ts";
import { buildJob } from "./templates/buildJob.ts";

type Guard = (operation: VeleroOperation, world: World) => Decision | undefined;

/** In this order; the first guard that returns a decision wins. */
const guards: readonly Guard[] = [
  decideRestoredCopy,
  decideDeleted,
  deleteUnstartedJob,
  decideEnded,
  decideCancelled,
  decideAdmittedWithoutDigest,
  decideAdmitted,
  admission,
];

/**
 * Decides what the dispatcher does for an Operation now: at most one write. The decision depends only on what the API server said
 * last, so a restarted dispatcher decides the same. The next step is decided when the watch shows the write.
 * docs/contract.md#admission, docs/contract.md#job, docs/contract.md#status-writes.
 */
export function decide(operation: Operation, world: World): Decision {
  // Success is final. The dispatcher keeps such an Operation without its outputs (state/trim.ts), so that a status write
  // from here would erase them.
  if (!isVeleroOperation(operation)) return NOTHING;
  if (operation.status?.phase === "Succeeded") return lingering(operation, world) ?? NOTHING;
  for (const guard of guards) {
    const decision = guard(operation, world);
    if (decision !== undefined) return decision;
  }
  return NOTHING;
}

/** A restored copy never runs, whatever status came with it. docs/contract.md#restored-copy. */
function decideRestoredCopy(operation: VeleroOperation, world: World): Decision | undefined {
  const hindrance = notRestoredCopy(operation, world);
  if (hindrance === undefined) return undefined;
  if (isTerminal(operation.status?.phase)) return NOTHING;
  return decideStatus(operation, world, hindranceStatus(operation, hindrance));
}

/** Begins nothing for an Operation that is being deleted. A runner that works on it sees the deletion itself. */
function decideDeleted({ metadata }: VeleroOperation): Decision | undefined {
  return metadata.deletionTimestamp === undefined ? undefined : NOTHING;
}

/** A request for another run comes before a lingering Job, which may linger for a day. */
function decideEnded(operation: VeleroOperation, world: World): Decision | undefined {
  const next = afterEnd(operation, world);
  if (next === undefined) return undefined;
  const { action } = next;
  if (action === undefined) return { ...lingering(operation, world), ...next };
  const opens =
    action.kind === "writeStatus" && attemptOf({ ...operation, status: action.status }) !== attemptOf(operation);
  return (opens ? deleteLingeringJob(operation, world) : undefined) ?? next;
}

/**
 * Ends a cancelled Operation that no runner has begun. Where one may have begun, only a runner knows what to undo, and the
 * guards that follow make sure that there is one. docs/contract.md#cancel.
 */
function decideCancelled(operation: VeleroOperation, world: World): Decision | undefined {
  if (!cancelRequested(operation) || hasBegun(operation)) return undefined;
  const jobs = isAdmitted(operation.status) ? activeJobs(operation, world) : [];
  if (jobs.some((job) => !neverStarted(job, world.podsOf(job)))) return undefined;
  // A Job made by hand stays: its runner finds the cancel when it starts, and exits.
  const own = jobs.filter(isMadeByDispatcher);
  const job = own.find(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (job !== undefined)
    return { action: deletionOf(job, "its Operation is cancelled, and no container of the Job ever started") };
  if (own.length > 0) return NOTHING;
  const because = { reason: Reason.cancelledByUser, message: "cancelled before a runner began" };
  return decideStatus(operation, world, {
    phase: "Failed",
    conditions: [
      ...unblocked(operation.status),
      { type: ConditionType.cancelled, status: "True", ...because },
      { type: ConditionType.running, status: "False", ...because },
    ],
  });
}

/**
 * For an Operation that an older version admitted without recording the digest of its spec. Before the dispatcher creates
 * anything for it, it has to pass the checks that keep tenants apart once more. It keeps its place meanwhile.
 * docs/contract.md#admitted-spec.
 */
function decideAdmittedWithoutDigest(operation: VeleroOperation, world: World): Decision | undefined {
  const { status, spec } = operation;
  if (!isAdmitted(status) || status?.admittedSpec !== undefined || status?.engineRef?.uid !== undefined)
    return undefined;
  const hindrance = firstOf(TENANCY_CHECKS, operation, world);
  if (hindrance !== undefined) return decideStatus(operation, world, hindranceStatus(operation, hindrance));
  return decideStatus(operation, world, { admittedSpec: specDigest(spec) });
}

/** An admitted Operation has a Job until it ends. The dispatcher reports what a runner cannot report. */
function decideAdmitted(operation: VeleroOperation, world: World): Decision | undefined {
  if (!isAdmitted(operation.status)) return undefined;
  const state = jobState(operation, world);
  switch (state.kind) {
    case "missing":
      return withoutJob(operation, world);
    case "stale":
      return { action: deletionOf(state.job, "it gave up, and the resumed attempt needs its name for another Job") };
    case "active":
      return withIdleVelero(operation, world, withPause(operation, world, reportPods(operation, world, state.jobs)));
    case "ended":
      return afterJob(operation, world, state.job);
  }
}

/** Where there is nothing else to do, an object that Velero leaves waiting is reported. */
function withIdleVelero(operation: VeleroOperation, world: World, decision: Decision): Decision {
  if (decision.action !== undefined) return decision;
  const idle = reportIdleVelero(operation, world);
  const [lookAgainAt] = [decision.lookAgainAt, idle?.lookAgainAt]
    .filter((at) => at !== undefined)
    .sort((a, b) => +a - +b);
  return { ...decision, ...idle, ...(lookAgainAt && { lookAgainAt }) };
}

/** A requested cancel is recorded first, because the Job that is to carry it out may be impossible to create. */
function withoutJob(operation: VeleroOperation, world: World): Decision {
  if (isStartLimitOver(operation, world)) return endAtStartLimit(operation, world, []);
  const { trouble } = reportedTrouble(operation);
  const state = trouble ? ({ kind: "trouble", ...trouble } as const) : ({ kind: "starting", hasPod: false } as const);
  const conditions = awaitedCancel(operation, world, troubleMessage(state));
  const recorded = conditions.length === 0 ? NOTHING : decideStatus(operation, world, { conditions });
  const first = withPause(operation, world, recorded);
  return first.action === undefined ? createJob(operation, world) : first;
}

/** The attempt ends with its Job, unless it has a Velero object, or the Job failed only because nodes rejected its pods. */
function afterJob(operation: VeleroOperation, world: World, job: Job): Decision {
  const followed = successor(operation, job, reportedTrouble(operation).trouble, world);
  if (followed !== undefined) return followed;
  const at = recreateAfterRejection(operation, job, world);
  if (at === undefined) return endWithoutResult(operation, job, world);
  if (job.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (at <= world.now) return { action: deletionOf(job, "nodes rejected its pods, so the dispatcher makes it again") };
  return reportTrouble(operation, world, { kind: "trouble", ...rejectionTrouble(job, world, at), lookAgainAt: at }, []);
}

/** Pauses the target once there is nothing else to write, also after Velero has restored the target without the pause. */
function withPause(operation: VeleroOperation, world: World, decision: Decision): Decision {
  const pause = decision.action === undefined ? pauseOf(operation, world) : undefined;
  return pause === undefined ? decision : { ...decision, action: pause };
}

/** Ends an attempt that has no Velero object to follow, and whose runner reported no result. */
function endWithoutResult(operation: VeleroOperation, job: Job, world: World): Decision {
  const { trouble } = reportedTrouble(operation);
  const reported = trouble?.reason === Reason.runnerFailed ? undefined : trouble;
  return decideStatus(operation, world, runnerFailed(endOf(job, world, reported)));
}

function createJob(operation: VeleroOperation, world: World): Decision {
  const { name, uid } = operation.metadata;
  const attempt = attemptOf(operation);
  const template = world.templates[operation.spec.type];
  if (template.ok) {
    const manifest = buildJob(operation, template.template, world.settings, attempt);
    return { action: { kind: "createJob", name: jobName({ name, uid }, attempt), manifest } };
  }
  if (!hasBegun(operation))
    return decideStatus(operation, world, hindranceStatus(operation, noTemplate(template.problem)));
  // Velero may be at work, so the Operation stays admitted and keeps its place. Once an admin has mended the template, it
  // gets a Job again.
  return reportTrouble(
    operation,
    world,
    { kind: "trouble", reason: Reason.templateInvalid, message: template.problem },
    [],
  );
}

/** Whether a runner has worked on this attempt, so that there may be a Velero object. */
function hasBegun({ status }: VeleroOperation): boolean {
  return status?.engineRef !== undefined || (isAdmitted(status) && (status?.runner?.jobUIDs ?? []).length > 0);
}

/**
 * Decides about a Job whose Operation, by its UID, is gone. If a container of the Job ever started, its runner is cleaning up or
 * has done so: Kubernetes removes the Job after its ttlSecondsAfterFinished, unless another container keeps it from ending.
 * After an eviction neither the Job nor its pods show that a container started, but a Velero object of the attempt does.
 * docs/contract.md#orphaned-jobs.
 *
 * @returns the deletion of the Job, or undefined if it stays
 */
export function decideOrphan(job: Job, world: World): Extract<Action, { kind: "deleteJob" }> | undefined {
  if (job.metadata.deletionTimestamp !== undefined) return undefined;
  if (isLingeringAfterSuccess(job, world)) return deletionOf(job, "its Operation is gone and its runner is done");
  if (!neverStarted(job, world.podsOf(job))) return undefined;
  if (world.veleroObjectsOf(job).length > 0) return undefined;
  return deletionOf(job, "its Operation is gone, and no container of the Job ever started");
}
