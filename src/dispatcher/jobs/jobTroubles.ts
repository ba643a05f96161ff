import { parseGoDuration } from "../../api/duration.ts";
import type { Status, VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { type ConditionChange, conditionOf, type StatusChange, timestamp } from "../../api/status.ts";
import { isAtWork } from "../../api/velero.ts";
import type { Job } from "../../kube/resources.ts";
import type { Settings } from "../settings.ts";
import { NOTHING, write } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { awaitedCancel } from "./awaitedCancel.ts";
import { deletionOf } from "./jobState.ts";
import { NO_POD, type PodState, podState, type ReportedTrouble, type Trouble } from "./podState.ts";
import { recreateAfterSilence } from "./recreateJob.ts";

const NOT_CREATED = "its Job cannot be created";

// What an admitted Operation says while no runner of it is at work, and for how long.
// docs/contract.md#pod-trouble, docs/contract.md#start-limit.

/**
 * How it is with the Jobs of the attempt under way that have not ended. One whose pod is on a dead node is made again: two
 * runners do no harm, and none does no good.
 */
export function reportPods(operation: VeleroOperation, world: World, jobs: readonly Job[]): Decision {
  const state = podState(jobs, world, reportedTrouble(operation));
  const [job] = jobs;
  const at = state.kind === "trouble" && job && jobs.length === 1 ? recreateAfterSilence(job, world) : undefined;
  if (state.kind !== "trouble" || job === undefined || at === undefined)
    return reportTrouble(operation, world, state, jobs);
  if (at <= world.now) return { action: deletionOf(job, "its pod does not end, and it is made again") };
  const message = `${state.message}; its Job is made again at ${timestamp(at)}`;
  return reportTrouble(operation, world, { ...state, message, lookAgainAt: state.lookAgainAt ?? at }, jobs);
}

/** No runner at work means trouble to be told, and a cancel to be remembered; after too long it is the end. */
export function reportTrouble(
  operation: VeleroOperation,
  world: World,
  state: PodState,
  jobs: readonly Job[],
): Decision {
  const until = state.kind === "starting" || state.kind === "trouble" ? patienceEnds(operation, world) : undefined;
  if (until !== undefined && until <= world.now) return giveUp(operation, world, jobs);
  const change = changeFor(operation, world, state);
  const [lookAgainAt] = [until, state.lookAgainAt].filter((at) => at !== undefined).sort((a, b) => +a - +b);
  const decision = change === undefined ? NOTHING : write(operation, world, change);
  return { ...decision, ...(lookAgainAt && { lookAgainAt }) };
}

function changeFor(operation: VeleroOperation, world: World, state: PodState): StatusChange | undefined {
  const { trouble, since } = reportedTrouble(operation);
  const { troubleSince: _over, ...runner } = operation.status?.runner ?? {};
  const waits = state.kind === "running" ? [] : awaitedCancel(operation, world, troubleMessage(state));
  switch (state.kind) {
    case "running":
      // Trouble is told while it lasts; when a runner is at work again, it has the word.
      if (state.doubted || (trouble ?? since) === undefined) return undefined;
      return { runner, conditions: trouble === undefined ? [] : [pending(state)] };
    case "starting": {
      // What ended the last pod is worth reading until the next one is at work.
      const isMade = state.hasPod || trouble?.message.startsWith(NOT_CREATED) === true;
      const isLetIn = isMade && trouble?.reason === NO_POD;
      const conditions = [...(isLetIn ? [pending(state)] : []), ...waits];
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

/** What the status says while the Job itself cannot be created; why, in words that stay the same while it is the same. */
export function notCreated(status: Status | undefined, why: string, now: Date): StatusChange {
  const trouble = { reason: NO_POD, message: `${NOT_CREATED}: ${why}` };
  return { ...troubled(status, now), conditions: [notRunning(trouble)] };
}

/**
 * Since when there is trouble, as it is recorded when it is told.
 *
 * @param lostAt when Kubernetes lost sight of a runner, by its own clocks: who tells of it, tells later
 */
function troubled(status: Status | undefined, now: Date, lostAt?: string): Pick<StatusChange, "runner"> {
  const { trouble, since } = reportedTrouble({ status });
  const [, begins = ""] = [timestamp(now), lostAt ?? ""].sort();
  return { runner: { ...status?.runner, troubleSince: (trouble && since) ?? begins } };
}

/** What the status says of trouble with the Job or its pods: all that is neither waiting nor the runner's word. */
export function reportedTrouble({ status }: Pick<VeleroOperation, "status">): ReportedTrouble {
  const running = conditionOf(status, ConditionType.running);
  const isTrouble = running?.status === "False" && running.reason !== Reason.pending;
  return { trouble: isTrouble ? running : undefined, since: status?.runner?.troubleSince };
}

/**
 * When trouble will have lasted for too long; never where none is told, nor while Velero's object holds the place anyway.
 * Once Velero is done, a runner has as long to come and say so.
 */
function patienceEnds(operation: VeleroOperation, { settings, veleroObject }: World): Date | undefined {
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

/** Whether that time has come, for an Operation that has no Job to look at. */
export function isOutOfPatience(operation: VeleroOperation, world: World): boolean {
  const until = patienceEnds(operation, world);
  return until !== undefined && until <= world.now;
}

/**
 * Nobody knows whether a runner will ever be at work again, and others wait for the place. The Jobs are noted as known to the
 * attempt: one whose pod starts after all has nothing left to do.
 */
export function giveUp(operation: VeleroOperation, world: World, jobs: readonly Job[]): Decision {
  const { trouble, since } = reportedTrouble(operation);
  const { troubleSince: _over, jobUIDs = [], ...runner } = operation.status?.runner ?? {};
  const message =
    `no runner has been at work since ${since}, for longer than limits.maxStartTime (${world.settings.limits.maxStartTime}): ` +
    `${trouble?.reason}: ${trouble?.message}`;
  const known = new Set([...jobUIDs, ...jobs.map(({ metadata }) => metadata.uid)]);
  return write(operation, world, { ...runnerFailed(message), runner: { ...runner, jobUIDs: [...known] } });
}

/** The attempt ends without a result of its runner's. */
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

/** The state as a message says it. */
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
