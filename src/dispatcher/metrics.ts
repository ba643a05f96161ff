import { collectDefaultMetrics, Registry } from "prom-client";
import { addGauge } from "./gauge.ts";
import { countEnded, gaugeOperations, type OperationParts } from "./operationMetrics.ts";
import { countRequests, countWatchRestarts, gaugeQueue, type RuntimeParts } from "./runtimeMetrics.ts";
import type { Caches } from "./state/caches.ts";
import type { TemplateStore } from "./templates/templateStore.ts";

export interface MetricsParts extends OperationParts, RuntimeParts {
  readonly templates: TemplateStore;
  readonly locations: Caches["locations"];
  /** What is missing in this cluster of the rules that keep tenants apart, one sentence each. */
  readonly missingProtection: () => readonly string[];
  /** Whether the settings that are written down now are the ones in force. */
  readonly settingsValid: () => boolean;
}

/**
 * The dispatcher's metrics. Counts and durations cover the Operations that ended while this process was leading; gauges are
 * computed at each scrape. Of a tenant, labels carry the namespace and nothing else. docs/contract.md#metrics.
 */
export function createMetrics(parts: MetricsParts): Registry {
  const registry = new Registry();
  countEnded(registry, parts);
  gaugeOperations(registry, parts);
  gaugeDispatcher(registry, parts);
  countRequests(registry, parts);
  countWatchRestarts(registry, parts);
  gaugeQueue(registry, parts);
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Whether what the dispatcher needs is in order, and whether it is the one that acts. */
function gaugeDispatcher(registry: Registry, parts: MetricsParts): void {
  const { templates, locations, missingProtection, isLeading, settingsValid } = parts;
  const flag = (name: string, help: string, isSet: () => boolean) =>
    addGauge(registry, name, `${help}: 1 or 0`, [], (set) => set({}, isSet() ? 1 : 0));
  addGauge(registry, "template_valid", "Whether Jobs can be made from the template: 1 or 0", ["type"], (set) => {
    for (const [type, { ok }] of Object.entries(templates.current)) set({ type }, ok ? 1 : 0);
  });
  const available = "Whether Velero can reach the BackupStorageLocation: 1 or 0";
  addGauge(registry, "storage_location_available", available, ["location"], (set) => {
    for (const { metadata, status } of locations.values())
      set({ location: metadata.name }, status?.phase === "Available" ? 1 : 0);
  });
  flag("settings_valid", "Whether the settings can be used as they are written down now", settingsValid);
  const protection = "Whether the CRD's rules and the admission policy that keep tenants apart are in place";
  flag("protection_complete", protection, () => missingProtection().length === 0);
  flag("leader", "Whether this dispatcher is the one that acts", isLeading);
}
