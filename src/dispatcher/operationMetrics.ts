import { Counter, Histogram, type Registry } from "prom-client";
import type { ApplicationInstance } from "../api/applicationInstance.ts";
import { Annotation } from "../api/labels.ts";
import { parseLastDrill } from "../api/lastDrill.ts";
import {
  isTerminal,
  isVeleroOperation,
  type Operation,
  type OperationType,
  SUPPORTED_TYPES,
  type VeleroOperation,
} from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { conditionOf, isAdmitted } from "../api/status.ts";
import { keyOf } from "../kube/metadata.ts";
import type { Store } from "../kube/stores.ts";
import { addGauge } from "./gauge.ts";
import { isQueued } from "./state/operationState.ts";

export interface OperationParts {
  readonly operations: Store<Operation>;
  readonly targets: Store<ApplicationInstance>;
  /** Whether this dispatcher acts. A standby counts no Operations, or each would be counted twice. */
  readonly isLeading: () => boolean;
}

/** How an Operation can end. */
const RESULTS = ["succeeded", "degraded", "failed", "cancelled"] as const;
type Result = (typeof RESULTS)[number];

/** From a second to a day. */
const DURATION_BUCKETS = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400];

/** What ended while this process was leading: how many Operations, and how long they took. */
export function countEnded(registry: Registry, { operations, isLeading }: OperationParts): void {
  const registers = [registry];
  const ended = new Counter({
    name: "operation_runner_operations_total",
    help: "Operations that ended while this dispatcher was leading, by result: succeeded, degraded, failed, cancelled",
    labelNames: ["type", "result"],
    registers,
  });
  const duration = new Histogram({
    name: "operation_runner_operation_duration_seconds",
    help: "From an Operation's acceptance to its end",
    labelNames: ["type", "result"],
    buckets: DURATION_BUCKETS,
    registers,
  });
  // Without a series increase() would miss the first of each: Prometheus has nothing to compare it with.
  for (const type of SUPPORTED_TYPES) {
    for (const result of RESULTS) {
      ended.inc({ type, result }, 0);
      duration.zero({ type, result });
    }
  }
  operations.onChange((_, current, previous) => {
    if (current === undefined || previous === undefined || !isVeleroOperation(current) || !isLeading()) return;
    if (current.metadata.uid !== previous.metadata.uid) return;
    const { phase, startedAt, finishedAt } = current.status ?? {};
    if (!isTerminal(phase) || isTerminal(previous.status?.phase)) return;
    const labels = { type: current.spec.type, result: resultOf(current) };
    ended.inc(labels);
    if (startedAt === undefined || finishedAt === undefined) return;
    duration.observe(labels, Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);
  });
}

/** What the Operations that exist are doing; without values while this dispatcher is a standby. */
export function gaugeOperations(registry: Registry, { operations, targets, isLeading }: OperationParts): void {
  const counted = () => (isLeading() ? operations.values() : []);
  const count = (name: string, help: string, label: string, labelOf: LabelOf) =>
    addGauge(registry, name, help, [label], (set) => {
      for (const [value, number] of countBy(counted(), labelOf)) set({ [label]: value }, number);
    });
  count("operations_active", "Operations that are admitted and have not ended", "type", (operation) =>
    isAdmitted(operation.status) && !isTerminal(operation.status?.phase) && !isQueued(operation)
      ? operation.spec.type
      : undefined,
  );
  count("operations_queued", "Operations that wait for a free slot and nothing else", "type", (operation) =>
    isQueued(operation) ? operation.spec.type : undefined,
  );
  count("operations_blocked", "Operations that are held back, by reason", "reason", blockedReason);
  const oldest = (name: string, help: string, since: (operation: VeleroOperation) => string | undefined) =>
    addGauge(registry, name, help, ["type"], (set) => {
      for (const [type, seconds] of earliest(counted(), since)) set({ type }, seconds);
    });
  oldest("oldest_queued_timestamp_seconds", "When the Operation was created that waits for its turn longest", (one) =>
    isQueued(one) ? one.metadata.creationTimestamp : undefined,
  );
  oldest("oldest_active_timestamp_seconds", "When the Operation was admitted that is under way longest", (one) =>
    isAdmitted(one.status) && !isTerminal(one.status?.phase) && !isQueued(one) ? one.status?.startedAt : undefined,
  );
  const last = (name: string, help: string, results: readonly Result[]) =>
    addGauge(registry, `last_${name}_timestamp_seconds`, help, ["namespace", "type"], (set) => {
      for (const [labels, seconds] of lastEnds(counted(), results)) set(labels, seconds);
    });
  last("success", "When an Operation last succeeded, degraded or not", ["succeeded", "degraded"]);
  last("failure", "When an Operation last failed", ["failed"]);
  const drilled = "When a restore drill of a Backup last ended, by result: passed, incomplete, failed";
  addGauge(registry, "last_drill_timestamp_seconds", drilled, ["namespace", "result"], (set) => {
    for (const [labels, seconds] of lastDrills(counted())) set(labels, seconds);
  });
  // Of several targets the worst shows: one that is backed up well must not hide another that is not.
  const worst = (name: string, help: string, labelNames: string[], of: keyof Troubles) =>
    addGauge(registry, name, help, labelNames, (set) => {
      if (!isLeading()) return;
      for (const [labels, seconds] of troubles(counted(), targets)[of]) set(labels, seconds);
    });
  const failing = "When an Operation failed after which none of the same target has succeeded; the earliest";
  worst("failing_since_timestamp_seconds", failing, ["namespace", "type"], "failing");
  const degraded = "When the last success of a target was, where it is degraded; the earliest of all targets";
  worst("degraded_since_timestamp_seconds", degraded, ["namespace", "type"], "degraded");
  const stalest =
    "When the last successful Backup of a target was; of all targets the one for which that is longest ago";
  worst("oldest_backup_timestamp_seconds", stalest, ["namespace"], "oldestBackup");
  const never = "When the ApplicationInstance was created that waits longest for its first successful Backup";
  addGauge(registry, "never_backed_up_since_timestamp_seconds", never, ["namespace"], (set) => {
    if (!isLeading()) return;
    for (const [namespace, seconds] of neverBackedUp(targets.values(), counted())) set({ namespace }, seconds);
  });
}

type LabelOf = (operation: VeleroOperation) => string | undefined;

/** How many Operations have each label; those without one are not counted. */
function countBy(operations: Iterable<Operation>, labelOf: LabelOf): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const operation of operations) {
    const value = isVeleroOperation(operation) ? labelOf(operation) : undefined;
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return counts;
}

function resultOf({ status }: Operation): Result {
  if (conditionOf(status, ConditionType.cancelled)?.status === "True") return "cancelled";
  if (status?.phase !== "Succeeded") return "failed";
  return conditionOf(status, ConditionType.degraded)?.status === "True" ? "degraded" : "succeeded";
}

/** Why an Operation that has not ended is held back: Accepted=False with a reason that may pass, or Blocked=True. */
function blockedReason({ status }: Operation): string | undefined {
  if (isTerminal(status?.phase)) return undefined;
  const accepted = conditionOf(status, ConditionType.accepted);
  if (accepted?.status === "False") return accepted.reason;
  const blocked = conditionOf(status, ConditionType.blocked);
  return blocked?.status === "True" ? blocked.reason : undefined;
}

/** For each type the earliest of the moments, in seconds since 1970. */
function earliest(
  operations: Iterable<Operation>,
  since: (operation: VeleroOperation) => string | undefined,
): ReadonlyMap<OperationType, number> {
  const found = new Map<OperationType, number>();
  for (const operation of operations) {
    if (!isVeleroOperation(operation)) continue;
    const seconds = Date.parse(since(operation) ?? "") / 1000;
    const { type } = operation.spec;
    if (seconds < (found.get(type) ?? Number.POSITIVE_INFINITY)) found.set(type, seconds);
  }
  return found;
}

/** When the last of the Operations that exist ended like this, for each namespace and type, in seconds since 1970. */
function lastEnds(
  operations: Iterable<Operation>,
  results: readonly Result[],
): Iterable<[{ namespace: string; type: OperationType }, number]> {
  const latest = new Map<string, [{ namespace: string; type: OperationType }, number]>();
  for (const operation of operations) {
    if (!isVeleroOperation(operation) || !isTerminal(operation.status?.phase)) continue;
    if (!results.includes(resultOf(operation))) continue;
    const seconds = Date.parse(operation.status?.finishedAt ?? "") / 1000;
    const labels = { namespace: operation.metadata.namespace, type: operation.spec.type };
    const key = `${labels.namespace}/${labels.type}`;
    if (seconds > (latest.get(key)?.[1] ?? 0)) latest.set(key, [labels, seconds]);
  }
  return latest.values();
}

/** When the last drill of the Backups that exist ended with each result, in seconds since 1970. */
function lastDrills(operations: Iterable<Operation>): Moments {
  const latest = new Map<string, [Record<string, string>, number]>();
  for (const { metadata } of operations) {
    const drill = parseLastDrill(metadata.annotations?.[Annotation.lastDrill]);
    if (drill === undefined) continue;
    const labels = { namespace: metadata.namespace ?? "", result: drill.result.toLowerCase() };
    const key = `${labels.namespace}/${labels.result}`;
    const seconds = Date.parse(drill.at) / 1000;
    if (seconds > (latest.get(key)?.[1] ?? 0)) latest.set(key, [labels, seconds]);
  }
  return latest.values();
}

/** For each namespace with targets of which no Backup has succeeded, when the oldest of them was created, in seconds since 1970. */
function neverBackedUp(
  targets: Iterable<ApplicationInstance>,
  operations: Iterable<Operation>,
): ReadonlyMap<string, number> {
  const saved = new Set<string>();
  for (const operation of operations) {
    if (!isVeleroOperation(operation) || operation.spec.type !== "Backup") continue;
    if (operation.status?.phase === "Succeeded")
      saved.add(`${operation.metadata.namespace}/${operation.spec.targetRef.name}`);
  }
  const since = new Map<string, number>();
  for (const target of targets) {
    const { namespace = "", creationTimestamp, deletionTimestamp } = target.metadata;
    if (saved.has(keyOf(target)) || deletionTimestamp !== undefined) continue;
    const seconds = Date.parse(creationTimestamp) / 1000;
    if (seconds < (since.get(namespace) ?? Number.POSITIVE_INFINITY)) since.set(namespace, seconds);
  }
  return since;
}

/** Moments, in seconds since 1970, each with the labels of its series. */
type Moments = Iterable<[Record<string, string>, number]>;

interface Troubles {
  readonly failing: Moments;
  readonly degraded: Moments;
  readonly oldestBackup: Moments;
}

/** What is wrong with a target, for each namespace and type; of several targets the earliest moment. */
function troubles(operations: Iterable<Operation>, targets: Store<ApplicationInstance>): Troubles {
  const ended = [...operations].filter(isVeleroOperation).filter((one) => isTerminal(one.status?.phase));
  // A backup of what does not exist any more is nobody's concern. What a Restore brings back need not exist.
  const ofTargets = ended.filter(
    ({ metadata, spec }) =>
      spec.type === "Restore" || targets.get(`${metadata.namespace}/${spec.targetRef.name}`) !== undefined,
  );
  const successes = new Map<string, VeleroOperation>();
  for (const operation of ofTargets) {
    if (operation.status?.phase !== "Succeeded") continue;
    const last = successes.get(subjectOf(operation));
    if (last === undefined || endOf(operation) > endOf(last)) successes.set(subjectOf(operation), operation);
  }
  const lastSuccesses = [...successes.values()];
  const failures = ofTargets.filter((one) => {
    const success = successes.get(subjectOf(one));
    return resultOf(one) === "failed" && (success === undefined || endOf(one) > endOf(success));
  });
  const byType = ({ metadata, spec }: VeleroOperation) => ({ namespace: metadata.namespace, type: spec.type });
  return {
    failing: earliestEnds(failures, byType),
    degraded: earliestEnds(
      lastSuccesses.filter((one) => resultOf(one) === "degraded"),
      byType,
    ),
    oldestBackup: earliestEnds(
      lastSuccesses.filter(({ spec }) => spec.type === "Backup"),
      ({ metadata: { namespace } }) => ({ namespace }),
    ),
  };
}

/** What Operations of one type are about. */
function subjectOf({ metadata, spec }: VeleroOperation): string {
  return `${metadata.namespace}/${spec.type}/${spec.targetRef.name}`;
}

function endOf({ status }: VeleroOperation): number {
  return Date.parse(status?.finishedAt ?? "") / 1000 || 0;
}

function earliestEnds(
  operations: readonly VeleroOperation[],
  labelsOf: (operation: VeleroOperation) => Record<string, string>,
): Moments {
  const found = new Map<string, [Record<string, string>, number]>();
  for (const operation of operations) {
    const labels = labelsOf(operation);
    const key = Object.values(labels).join("/");
    const seconds = endOf(operation);
    if (seconds < (found.get(key)?.[1] ?? Number.POSITIVE_INFINITY)) found.set(key, [labels, seconds]);
  }
  return found.values();
}
