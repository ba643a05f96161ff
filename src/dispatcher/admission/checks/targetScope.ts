import { Label, MANAGED_BY_CONTROL_PLANE } from "../../../api/labels.ts";
import { quoted } from "../../../api/message.ts";
import { Reason } from "../../../api/reasons.ts";
import type { Check, Hindrance } from "../hindrance.ts";

/** The Operation's namespace, and what admins may demand of it and of the Operation. docs/contract.md#scope. */
export const targetInScope: Check = (operation, { settings, namespace }) => {
  const { namespace: own, labels = {} } = operation.metadata;
  if (settings.namespaces.length > 0 && !settings.namespaces.includes(own)) {
    return outOfScope(`Operations in namespace ${own} are not carried out here`);
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

/** An Operation that names a cluster is for that cluster only. docs/contract.md#scope. */
export const sameCluster: Check = (operation, { settings }) => {
  const wanted = operation.metadata.labels?.[Label.clusterId];
  if (wanted === undefined || (wanted === settings.clusterId && wanted !== "")) return undefined;
  const here = settings.clusterId === "" ? "this one has no name" : `this one is ${quoted(settings.clusterId)}`;
  return {
    effect: "refused",
    reason: Reason.clusterMismatch,
    message: `the label ${Label.clusterId} names cluster ${quoted(wanted)}; ${here}`,
  };
};

function outOfScope(message: string): Hindrance {
  return { effect: "refused", reason: Reason.outOfScope, message };
}
