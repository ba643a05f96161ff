import { shortHistory } from "./history.ts";
import { type Condition, isTerminal, jobsOfAttempt, type Phase, type Status } from "./operation.ts";
import { ConditionType, type ConditionTypeName, Reason } from "./reasons.ts";

/** A condition as a writer decides it; {@link nextStatus} adds the times and the generation. */
export interface ConditionChange {
  type: ConditionTypeName;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
}

/** A change of the last status. Fields that are left out stay as they are. */
export interface StatusChange
  extends Partial<
    Pick<
      Status,
      | "progress"
      | "engineRef"
      | "backupRef"
      | "runner"
      | "logsRef"
      | "outputs"
      | "observedRerun"
      | "admittedSpec"
      | "request"
    >
  > {
  phase?: Phase;
  conditions?: readonly ConditionChange[];
}

/** When a status is written, and for which generation. */
export interface StatusContext {
  now: Date;
  /** The `metadata.generation` of the Operation on which the change was decided. */
  generation: number | undefined;
}

/**
 * Makes the whole next status from the last one and a change. `lastTransitionTime` moves only when a condition's status
 * changes; `startedAt` is the first acceptance and `finishedAt` the terminal transition; a terminal phase stays.
 * docs/contract.md#status-writes.
 *
 * @returns a new status; equal to `last` if the change says nothing new, so that writers can skip the write
 */
export function nextStatus(last: Status | undefined, change: StatusChange, context: StatusContext): Status {
  if (isTerminal(last?.phase) && change.phase !== undefined && change.phase !== last?.phase) {
    throw new Error(`phase ${last?.phase} is terminal and cannot become ${change.phase}; open a new attempt`);
  }
  const { conditions: changes = [], ...fields } = change;
  const now = timestamp(context.now);
  const conditions = changes.reduce(
    (all, one) => setCondition(all, one, now, context.generation),
    [...(last?.conditions ?? [])],
  );
  const next: Status = { ...last, ...fields, conditions };
  if (context.generation !== undefined) next.observedGeneration = context.generation;
  const accepted = conditions.find((condition) => condition.type === ConditionType.accepted);
  if (next.startedAt === undefined && accepted?.status === "True") next.startedAt = accepted.lastTransitionTime;
  if (isTerminal(next.phase) && !isTerminal(last?.phase)) {
    // The clock of the writer that ends it may be behind the clock of the writer that admitted it.
    next.finishedAt = next.startedAt !== undefined && next.startedAt > now ? next.startedAt : now;
  }
  const reason = mainCondition(conditions)?.reason;
  if (reason !== undefined) next.reason = reason;
  if (next.finishedAt !== undefined && next.startedAt !== undefined) {
    next.duration = durationText(Date.parse(next.finishedAt) - Date.parse(next.startedAt));
  }
  return withHealth(next, now, context.generation);
}

/**
 * The status with the conditions by which tools judge objects of any kind (kstatus, and so Flux and Helm): Reconciling=True
 * until the Operation has ended, Stalled=True when it has failed, and neither once it has succeeded.
 * docs/contract.md#health-for-other-tools.
 */
function withHealth(status: Status, now: string, generation: number | undefined): Status {
  const all = status.conditions ?? [];
  const { reason, message } = mainCondition(all) ?? { reason: Reason.pending, message: "the attempt has just begun" };
  const others = all.filter((each) => !HEALTH.has(each.type));
  if (status.phase === "Succeeded") return { ...status, conditions: others };
  const type = isTerminal(status.phase) ? ConditionType.stalled : ConditionType.reconciling;
  const last = all.filter((each) => each.type === type);
  const told = setCondition(last, { type, status: "True", reason, message }, now, generation);
  return { ...status, conditions: [...others, ...told] };
}

/** The most important condition. A printer column shows its reason: its JSONPath could not choose the condition. */
function mainCondition(conditions: readonly Condition[]): Condition | undefined {
  for (const [type, status] of TELLING) {
    const found = conditions.find((condition) => condition.type === type && condition.status === status);
    if (found !== undefined) return found;
  }
  return conditions.find((condition) => condition.type === ConditionType.running);
}

/** They repeat what another condition says. */
export const HEALTH: ReadonlySet<string> = new Set([ConditionType.reconciling, ConditionType.stalled]);

const TELLING: readonly [ConditionTypeName, Condition["status"]][] = [
  [ConditionType.failed, "True"],
  [ConditionType.cancelled, "True"],
  [ConditionType.degraded, "True"],
  [ConditionType.succeeded, "True"],
  [ConditionType.blocked, "True"],
  [ConditionType.accepted, "False"],
];

/** Milliseconds as kubectl would write them: `45s`, `7m13s`, `2h5m0s`. */
function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}

/**
 * The status with which a new attempt begins. The ended attempt moves to `history`; its conditions, outputs and times
 * are removed; `observedRerun` stays.
 */
export function openAttempt(last: Status): Status {
  const attempt = last.runner?.attempt ?? 1;
  const jobUIDs = jobsOfAttempt(last.runner);
  const ended = last.conditions?.find((condition) => ENDINGS.has(condition.type) && condition.status === "True");
  const record = {
    attempt,
    phase: last.phase ?? "Failed",
    ...(ended && { reason: ended.reason, message: ended.message }),
    ...(last.runner?.jobName !== undefined && { jobName: last.runner.jobName }),
    ...(jobUIDs.length > 0 && { jobUIDs }),
    ...(last.engineRef && { engineRef: last.engineRef }),
    ...(last.startedAt !== undefined && { startedAt: last.startedAt }),
    ...(last.finishedAt !== undefined && { finishedAt: last.finishedAt }),
  };
  return {
    ...(last.observedRerun !== undefined && { observedRerun: last.observedRerun }),
    ...(last.request && { request: last.request }),
    ...(last.observedGeneration !== undefined && { observedGeneration: last.observedGeneration }),
    phase: "Pending",
    conditions: [],
    runner: { attempt: attempt + 1 },
    ...shortHistory({ ...last, history: [...(last.history ?? []), record] }),
  };
}

/**
 * The status with which the same attempt resumes: the runner gave up, but Velero's object still lives, and somebody
 * must write how it ends. Only the result is removed. A cancel that is being carried out (Cancelled=Unknown) is no
 * result yet, and stays.
 */
export function resumeAttempt(last: Status): Status {
  const { finishedAt: _at, duration: _long, reason: _why, ...rest } = last;
  const conditions = last.conditions?.filter(({ type, status }) => !ENDINGS.has(type) || status === "Unknown");
  return { ...rest, phase: "Pending", ...(conditions && { conditions }) };
}

const ENDINGS: ReadonlySet<string> = new Set([
  ConditionType.failed,
  ConditionType.cancelled,
  ConditionType.succeeded,
  ConditionType.degraded,
  ConditionType.stalled,
]);

/** @returns the condition of that type, if the status has it */
export function conditionOf(status: Status | undefined, type: ConditionTypeName): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Admitted and not held back: Accepted=True and not Blocked=True. */
export function isAdmitted(status: Status | undefined): boolean {
  return (
    conditionOf(status, ConditionType.accepted)?.status === "True" &&
    conditionOf(status, ConditionType.blocked)?.status !== "True"
  );
}

/**
 * Whether the attempt ended without a result (RunnerFailed): its Job gave up, or no runner started in time. Its Velero
 * object may still live.
 */
export function endedWithoutResult(status: Status | undefined): boolean {
  return conditionOf(status, ConditionType.failed)?.reason === Reason.runnerFailed;
}

/** RFC 3339 with seconds, as Kubernetes writes times. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}

function setCondition(
  conditions: Condition[],
  change: ConditionChange,
  now: string,
  generation: number | undefined,
): Condition[] {
  const at = conditions.findIndex((condition) => condition.type === change.type);
  const last = conditions[at];
  const next: Condition = {
    ...change,
    lastTransitionTime: last?.status === change.status ? last.lastTransitionTime : now,
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  return at < 0 ? [...conditions, next] : conditions.with(at, next);
}
