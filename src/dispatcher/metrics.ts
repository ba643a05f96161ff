import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { isTerminal, isVeleroOperation, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { conditionOf, isAdmitted } from "../api/status.ts";
import type { Store } from "../kube/stores.ts";
import { isQueued } from "./state/operationState.ts";
import type { TemplateStore } from "./templates/templateStore.ts";

export interface MetricsParts {
  readonly operations: Store<Operation>;
  readonly templates: TemplateStore;
  /** What is missing in this cluster of the rules that keep tenants apart, one sentence each. */
  readonly missingProtection: () => readonly string[];
  /** Whether this dispatcher acts. A standby counts no Operations, or each would be counted twice. */
  readonly isLeading: () => boolean;
  /** Whether the settings that are written down now are the ones in force. */
  readonly settingsValid: () => boolean;
}

/** From a second to a day. */
const DURATION_BUCKETS = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400];

/**
 * The dispatcher's metrics. Counts and durations cover the Operations that ended while this process was leading; gauges are
 * computed at each scrape. No label carries an object's name. docs/contract.md#metrics.
 */
export function createMetrics(parts: MetricsParts): Registry {
  const registry = new Registry();
  countEnded(registry, parts);
  gaugeOperations(registry, parts);
  gaugeDispatcher(registry, parts);
  return registry;
}

/** What ended while this process was leading: how many Operations, and how long they took. */
function countEnded(registry: Registry, { operations, isLeading }: MetricsParts): void {
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
function gaugeOperations(registry: Registry, { operations, isLeading }: MetricsParts): void {
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
  const help = "When an Operation last succeeded";
  addGauge(registry, "last_success_timestamp_seconds", help, ["namespace", "type"], (set) => {
    for (const [labels, seconds] of lastSuccesses(counted())) set(labels, seconds);
  });
}

/** Whether what the dispatcher needs is in order, and whether it is the one that acts. */
function gaugeDispatcher(registry: Registry, parts: MetricsParts): void {
  const { templates, missingProtection, isLeading, settingsValid } = parts;
  const flag = (name: string, help: string, isSet: () => boolean) =>
    addGauge(registry, name, `${help}: 1 or 0`, [], (set) => set({}, isSet() ? 1 : 0));
  addGauge(registry, "template_valid", "Whether Jobs can be made from the template: 1 or 0", ["type"], (set) => {
    for (const [type, { ok }] of Object.entries(templates.current)) set({ type }, ok ? 1 : 0);
  });
  flag("settings_valid", "Whether the settings can be used as they are written down now", settingsValid);
  const protection = "Whether the CRD's rules and the admission policy that keep tenants apart are in place";
  flag("protection_complete", protection, () => missingProtection().length === 0);
  flag("leader", "Whether this dispatcher is the one that acts", isLeading);
}

type SetValue = (labels: Record<string, string>, value: number) => void;

/** Registers a gauge that forgets its values and measures them anew at each scrape. */
function addGauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  measure: (set: SetValue) => void,
): void {
  new Gauge({
    name: `operation_runner_${name}`,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      measure((labels, value) => this.set(labels, value));
    },
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

function resultOf({ status }: Operation): string {
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

/** When the last success was, for each namespace and type. */
function lastSuccesses(operations: Iterable<Operation>): Iterable<[Record<string, string>, number]> {
  const latest = new Map<string, [Record<string, string>, number]>();
  for (const operation of operations) {
    if (!isVeleroOperation(operation) || operation.status?.phase !== "Succeeded") continue;
    const seconds = Date.parse(operation.status.finishedAt ?? "") / 1000;
    const labels = { namespace: operation.metadata.namespace, type: operation.spec.type };
    const key = `${labels.namespace}/${labels.type}`;
    if (seconds > (latest.get(key)?.[1] ?? 0)) latest.set(key, [labels, seconds]);
  }
  return latest.values();
}
