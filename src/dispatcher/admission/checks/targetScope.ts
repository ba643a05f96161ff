import { Label, MANAGED_BY_CONTROL_PLANE } from "../../../api/labels.ts";
import { quoted } from "../../../api/message.ts";
import { Reason } from "../../../api/reasons.ts";
import type { Check, Hindrance } from "../hindrance.ts";

/**
 * The settings say which namespaces the dispatcher serves, and which labels namespace and Operation must carry.
 * docs/contract.md#scope.
 */
export const targetInScope: Check = (operation, { settings, namespace }) => {
  const { namespace: own, labels = {} } = operation.metadata;
  if (settings.namespaces.length > 0 && !settings.namespaces.includes(own)) {
    return outOfScope(`this dispatcher does not carry out Operations in namespace ${own}`);
  }
  if (settings.requireManagedByLabel && labels[Label.managedBy] !== MANAGED_BY_CONTROL_PLANE) {
    return outOfScope(`the Operation must carry the label ${Label.managedBy}=${MANAGED_BY_CONTROL_PLANE}`);
  }
  const gate = settings.namespaceGateLabel;
  if (gate !== "" && namespace(own)?.metadata.labels?.[gate] !== "true") {
    return outOfScope(`namespace ${own} must carry the label ${gate}=true`);
  }
  return undefined;
};

/** An Operation that names a cluster runs only in that cluster. docs/contract.md#scope. */
export const sameCluster: Check = (operation, world) => {
  const wanted = operation.metadata.labels?.[Label.clusterId];
  if (wanted === undefined) return undefined;
  const { settings } = world;
  if (wanted === settings.clusterId && wanted !== "") return undefined;
  const here = settings.clusterId === "" ? "this cluster has no name" : `this cluster is ${quoted(settings.clusterId)}`;
  return {
    effect: "rejected",
    reason: Reason.clusterMismatch,
    message: `the label ${Label.clusterId} names cluster ${quoted(wanted)}; ${here}`,
  };
};

function outOfScope(message: string): Hindrance {
  return { effect: "rejected", reason: Reason.outOfScope, message };
}
