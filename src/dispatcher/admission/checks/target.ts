import type { ApplicationInstance } from "../../../api/applicationInstance.ts";
import { Annotation } from "../../../api/labels.ts";
import { quoted } from "../../../api/message.ts";
import { ENGINE, type VeleroOperation } from "../../../api/operation.ts";
import { Reason } from "../../../api/reasons.ts";
import type { AdmissionWorld, Check } from "../hindrance.ts";

/**
 * A Backup needs its target; a Restore may bring it back. The release of a target must be in the target's own namespace:
 * otherwise a tenant's target could stand for the release of another tenant. docs/contract.md#target.
 */
export const targetFound: Check = (operation, world) => {
  const { namespace } = operation.metadata;
  const target = targetOf(operation, world);
  const name = quoted(operation.spec.targetRef.name);
  if (target === undefined) {
    if (operation.spec.type === "Restore") return undefined;
    const message = `no ApplicationInstance ${name} in namespace ${namespace}`;
    return { effect: "rejected", reason: Reason.targetNotFound, message };
  }
  const release = target.spec?.release?.namespace ?? "";
  if (release === "" || release === namespace) return undefined;
  const elsewhere = quoted(typeof release === "string" ? release : JSON.stringify(release));
  return {
    effect: "rejected",
    reason: Reason.targetNamespaceForbidden,
    message: `the release of ApplicationInstance ${name} is in namespace ${elsewhere}, not in the target's own namespace ${namespace}`,
  };
};

/** If a target lists its engines, velero must be one of them. docs/contract.md#capability. */
export const targetCapable: Check = (operation, world) => {
  const annotation = operation.spec.type === "Backup" ? Annotation.backupCapability : Annotation.restoreCapability;
  const engines = targetOf(operation, world)?.metadata.annotations?.[annotation];
  if (engines === undefined || engines.split(",").some((engine) => engine.trim() === ENGINE)) return undefined;
  return {
    effect: "rejected",
    reason: Reason.capabilityMissing,
    message: `annotation ${annotation} of ApplicationInstance ${quoted(operation.spec.targetRef.name)} lists ${quoted(engines)}, not ${ENGINE}`,
  };
};

/** A Backup of a half-installed application is useless. docs/contract.md#target-ready. */
export const targetReady: Check = (operation, world) => {
  if (operation.spec.type !== "Backup" || !world.settings.requireTargetReady) return undefined;
  const target = targetOf(operation, world);
  const why = target && unreadiness(target);
  if (why === undefined) return undefined;
  const name = quoted(operation.spec.targetRef.name);
  return { effect: "blocked", reason: Reason.targetNotReady, message: `ApplicationInstance ${name} ${why}` };
};

/** Why a target is not ready now. A Ready=True that is older than the last change of the target's spec does not count. */
function unreadiness({ metadata: { generation = 0 }, status }: ApplicationInstance): string | undefined {
  const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
  if (ready === undefined) return undefined;
  if (ready.status !== "True") {
    const why = [ready.reason, ready.message].filter((text) => text !== undefined && text !== "").join(": ");
    return `is not Ready${why === "" ? "" : `: ${why}`}`;
  }
  const observed = ready.observedGeneration ?? status?.observedGeneration ?? generation;
  return observed < generation
    ? `is being reconciled: it was Ready at generation ${observed}, and its generation is ${generation} now`
    : undefined;
}

function targetOf(operation: VeleroOperation, world: AdmissionWorld): ApplicationInstance | undefined {
  return world.target(operation.metadata.namespace, operation.spec.targetRef.name);
}
