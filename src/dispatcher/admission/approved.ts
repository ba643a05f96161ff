import type { VeleroOperation } from "../../api/operation.ts";
import { Reason } from "../../api/reasons.ts";
import { type Approval, verifyClaim } from "../approval.ts";
import type { World } from "../world.ts";
import type { Check } from "./check.ts";

/** Four eyes, where the Operation asks for them. docs/contract.md, Admission 8. */
export const approved: Check = (operation, world) => {
  const approval = approvalOf(operation, world);
  if (approval === undefined || approval.ok) return undefined;
  return { verdict: "blocked", reason: Reason.awaitingApproval, message: `approval is required: ${approval.why}` };
};

/** @returns the first moment at which an Operation that is approved now needs a new approval; undefined if none does */
export function approvalEnds(operation: VeleroOperation, world: World): Date | undefined {
  const approval = approvalOf(operation, world);
  return approval?.ok ? approval.ends : undefined;
}

/** Whether what a check says of this Operation may change by the passing of time alone. */
export function needsApproval(operation: VeleroOperation): boolean {
  return operation.spec.approvals?.required === true;
}

function approvalOf(operation: VeleroOperation, { approvalKey, now }: World): Approval | undefined {
  if (!needsApproval(operation)) return undefined;
  return verifyClaim(operation.spec.approvals?.claim, { operation: operation.metadata.name, key: approvalKey, now });
}
