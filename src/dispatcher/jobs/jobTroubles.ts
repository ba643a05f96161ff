import { parseGoDuration } from "../../api/duration.ts";
import type { Status, VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { type ConditionChange, conditionOf, type StatusChange, timestamp } from "../../api/status.ts";
import { isAtWork } from "../../api/velero.ts";
import type { Job } from "../../kube/resources.ts";
import type { Settings } from "../settings.ts";
import { decideStatus, NOTHING } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { awaitedCancel } from "./awaitedCancel.ts";
import { deletionOf } from "./jobState.ts";
import { NO_POD, type PodState, podState, type ReportedTrouble, type Trouble } from "./podState.ts";
import { recreateAfterSilence } from "./recreateJob.ts";

const NOT_CREATED = "its Job cannot be created";

// What the status of an admitted Operation reports while no runner is at work, and how long that may last.
// docs/contract.md#pod-trouble, docs/contract.md#start-limit.

/**
 * Reports how the unfinished Jobs of the attempt are doing. If there is only one and its pod is on a dead node, the dispatcher
 * deletes that Job and creates it again: two runners do no harm, but without a runner nothing goes on.
 */
export function reportPods(operation: VeleroOperation, world: World, jobs: readonly Job[]): Decision {
  const state = podState(jobs, world, reportedTrouble(operation));
  const [job] = jobs;
  const at = state.kind === "trouble" && job && jobs.length === 1 ? recreateAfterSilence(job, world) : undefined;
  if (state.kind !== "trouble" || job === undefined || at === undefined)
    return reportTrouble(operation, world, state, jobs);
  if (at <= world.now)
    return { action: deletionOf(job, "its pod does not end, so the dispatcher makes the Job again") };
  const message = `${state.message}; the dispatcher makes the Job again at ${timestamp(at)}`;
  return reportTrouble(operation, world, { ...state, message, lookAgainAt: state.lookAgainAt ?? at }, jobs);
}

/** Without a runner at work, reports why and records a requested cancel; after limits.maxStartTime ends the attempt. */
export function reportTrouble(
  operation: VeleroOperation,
  world: World,
  state: PodState,
  jobs: readonly Job[],
): Decision {
  const until = state.kind === "starting" || state.kind === "trouble" ? startLimitEnds(operation, world) : undefined;
  if (until !== undefined && until <= world.now) return endAtStartLimit(operation, world, jobs);
  const change = changeFor(operation, world, state);
  const [lookAgainAt] = [until, state.lookAgainAt].filter((at) => at !== undefined).sort((a, b) => +a - +b);
  const decision = change === undefined ? NOTHING : decideStatus(operation, world, change);
  return { ...decision, ...(lookAgainAt && { lookAgainAt }) };
}

function changeFor(operation: VeleroOperation, world: World, state: PodState): StatusChange | undefined {
  const { trouble, since } = reportedTrouble(operation);
  const { troubleSince: _over, ...runner } = operation.status?.runner ?? {};
  const waits = state.kind === "running" ? [] : awaitedCancel(operation, world, troubleMessage(state));
  switch (state.kind) {
    case "running":
      // Clears the trouble that the status still reports; everything else about a run is the runner's to write.
      if (state.doubted || (trouble ?? since) === undefined) return undefined;
      return { runner, conditions: trouble === undefined ? [] : [pending(state)] };
    case "starting": {
      // How the last pod ended stays readable until the next one is at work. FailedCreate is over as soon as the Job or
      // the pod that could not be created exists.
      const isCreated = state.hasPod || trouble?.message.startsWith(NOT_CREATED) === true;
      const isCreateTroubleOver = isCreated && trouble?.reason === NO_POD;
      const conditions = [...(isCreateTroubleOver ? [pending(state)] : []), ...waits];
      return conditions.length === 0 ? undefined : { conditions };
    }
    case "suspended":
      return { runner, conditions: [notRunning(state), ...waits] };
    case "trouble":
      return {
        ...troubled(operation.status, world.now, state.since),
        conditions: [notRunning(state), ...waits],
      };
  }
}

/**
 * What the status says while the Job itself cannot be created.
 *
 * @param why the cause, in the same words at each retry: otherwise each retry would write the status again
 */
export function notCreated(status: Status | undefined, why: string, now: Date): StatusChange {
  const trouble = { reason: NO_POD, message: `${NOT_CREATED}: ${why}` };
  return { ...troubled(status, now), conditions: [notRunning(trouble)] };
}

/**
 * Records since when there is trouble, when it is first reported.
 *
 * @param lostAt when Kubernetes lost sight of a runner, by its own clock; the recorded time is never earlier
 */
function troubled(status: Status | undefined, now: Date, lostAt?: string): Pick<StatusChange, "runner"> {
  const { trouble, since } = reportedTrouble({ status });
  const [, begins = ""] = [timestamp(now), lostAt ?? ""].sort();
  return { runner: { ...status?.runner, troubleSince: (trouble && since) ?? begins } };
}

/** The trouble that the status reports: every Running=False but Pending. A runner at work writes Pending or Running=True. */
export function reportedTrouble({ status }: Pick<VeleroOperation, "status">): ReportedTrouble {
  const running = conditionOf(status, ConditionType.running);
  const isTrouble = running?.status === "False" && running.reason !== Reason.pending;
  return { trouble: isTrouble ? running : undefined, since: status?.runner?.troubleSince };
}

/**
 * When limits.maxStartTime ends the attempt. Undefined without reported trouble, and while Velero is at work: the Operation
 * then keeps its place in any case. Once Velero is done, a runner has the whole time again to come and report that.
 */
function startLimitEnds(operation: VeleroOperation, { settings, veleroObject }: World): Date | undefined {
  const { trouble, since } = reportedTrouble(operation);
  const maxMs = maxStartMs(settings);
  const object = veleroObject(operation);
  if (trouble === undefined || since === undefined || maxMs === undefined || isAtWork(object)) return undefined;
  const doneMs = Date.parse(object?.status?.completionTimestamp ?? "") || 0;
  return new Date(Math.max(Date.parse(since), doneMs) + maxMs);
}

function maxStartMs({ limits: { maxStartTime } }: Settings): number | undefined {
  const nanoseconds = parseGoDuration(maxStartTime);
  return nanoseconds === undefined ? undefined : Number(nanoseconds / 1_000_000n);
}

/** Whether limits.maxStartTime has passed, for an Operation that has no Job. */
export function isStartLimitOver(operation: VeleroOperation, world: World): boolean {
  const until = startLimitEnds(operation, world);
  return until !== undefined && until <= world.now;
}

/**
 * Ends the attempt, since no runner may ever be at work again and other Operations wait for its place. The status lists the
 * Jobs as Jobs of this attempt, so that a runner that starts after all exits at once.
 */
export function endAtStartLimit(operation: VeleroOperation, world: World, jobs: readonly Job[]): Decision {
  const { trouble, since } = reportedTrouble(operation);
  const { troubleSince: _over, jobUIDs = [], ...runner } = operation.status?.runner ?? {};
  const message =
    `no runner has been at work since ${since}, for longer than limits.maxStartTime (${world.settings.limits.maxStartTime}): ` +
    `${trouble?.reason}: ${trouble?.message}`;
  const allJobUIDs = new Set([...jobUIDs, ...jobs.map(({ metadata }) => metadata.uid)]);
  return decideStatus(operation, world, { ...runnerFailed(message), runner: { ...runner, jobUIDs: [...allJobUIDs] } });
}

/** The end of an attempt whose runner reported no result. */
export function runnerFailed(message: string): StatusChange {
  const because = { reason: Reason.runnerFailed, message };
  return {
    phase: "Failed",
    conditions: [
      { type: ConditionType.failed, status: "True", ...because },
      { type: ConditionType.running, status: "False", ...because },
    ],
  };
}

function notRunning({ reason, message }: Trouble): ConditionChange {
  return { type: ConditionType.running, status: "False", reason, message };
}

function pending(state: PodState): ConditionChange {
  return notRunning({ reason: Reason.pending, message: troubleMessage(state) });
}

/** The state, in the words of a condition's message. */
export function troubleMessage(state: PodState): string {
  switch (state.kind) {
    case "running":
      return "its runner is at work";
    case "starting":
      return "its runner is being started";
    case "suspended":
    case "trouble":
      return `${state.reason}: ${state.message}`;
  }
}
