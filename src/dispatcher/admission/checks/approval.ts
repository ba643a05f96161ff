import type { VeleroOperation } from "../../../api/operation.ts";
import { Reason } from "../../../api/reasons.ts";
import type { Settings } from "../../settings.ts";
import { type Approval, verifyApprovalToken } from "../approvalToken.ts";
import type { AdmissionWorld, Check } from "../hindrance.ts";

/** An Operation that needs an approval waits for a valid approval token. docs/contract.md#approval. */
export const approved: Check = (operation, world) => {
  const approval = approvalOf(operation, world);
  if (approval === undefined || approval.ok) return undefined;
  const message = `${requirement(operation, world.settings)}: ${approval.why}`;
  return { effect: "blocked", reason: Reason.awaitingApproval, message };
};

/** @returns when the approval of an approved Operation ends; undefined if it needs none or has none */
export function approvalEnds(operation: VeleroOperation, world: AdmissionWorld): Date | undefined {
  const approval = approvalOf(operation, world);
  return approval?.ok ? approval.ends : undefined;
}

/** Whether the Operation needs an approval. */
function requiresApproval(operation: VeleroOperation, settings: Settings): boolean {
  return requirement(operation, settings) !== undefined;
}

function approvalOf(operation: VeleroOperation, { approvalKey, now, settings }: AdmissionWorld): Approval | undefined {
  if (!requiresApproval(operation, settings)) return undefined;
  const { requireBoundClaims: requireBound } = settings;
  return verifyApprovalToken(operation.spec.approvals?.claim, { operation, key: approvalKey, requireBound, now });
}

/** Who requires the approval, for the message; undefined if nobody does. An admin can look for the setting by its name. */
function requirement({ metadata, spec }: VeleroOperation, { approvalRequired }: Settings): string | undefined {
  if (spec.approvals?.required === true) return "approval is required";
  const { types, namespaces, mappedNamespaces } = approvalRequired;
  const byPlatform = (what: string, setting: string) =>
    `the platform requires an approval for every ${what} (setting approvalRequired.${setting})`;
  if (types.includes(spec.type)) return byPlatform(spec.type, "types");
  if (namespaces.includes(metadata.namespace)) return byPlatform(`Operation in ${metadata.namespace}`, "namespaces");
  if (mappedNamespaces && spec.type === "Restore" && mapsAnother(metadata.namespace, spec.parameters)) {
    return byPlatform("Restore from another namespace", "mappedNamespaces");
  }
  return undefined;
}

/** The parameters may not have been validated yet, so they may have any form. */
function mapsAnother(namespace: string, parameters: Record<string, unknown> = {}): boolean {
  const mapping = Object.hasOwn(parameters, "namespaceMapping") ? parameters.namespaceMapping : undefined;
  return Object.keys(Object(mapping)).some((from) => from !== namespace);
}
