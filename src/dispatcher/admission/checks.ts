import type { VeleroOperation } from "../../api/operation.ts";
import type { World } from "../state/world.ts";
import { approved } from "./checks/approval.ts";
import { authorized } from "./checks/authorized.ts";
import { snapshotClassOpen, storageLocationOpen } from "./checks/openToNamespace.ts";
import { notRestoredCopy } from "./checks/restoredCopy.ts";
import { snapshotClassExists } from "./checks/snapshotClass.ts";
import { storageLocationAvailable } from "./checks/storageLocation.ts";
import { targetCapable, targetFound, targetReady } from "./checks/target.ts";
import { sameCluster, targetInScope } from "./checks/targetScope.ts";
import { templateUsable } from "./checks/template.ts";
import { specValid } from "./checks/validation.ts";
import type { Check, Hindrance } from "./hindrance.ts";

/**
 * What an Operation must pass for itself, in the order of docs/contract.md#admission; that there is room for it
 * among the others is a matter of order.ts. The template comes last: everything before it is the tenant's to mend.
 */
const CHECKS: readonly Check[] = [
  notRestoredCopy,
  targetInScope,
  sameCluster,
  specValid,
  storageLocationOpen,
  snapshotClassOpen,
  targetFound,
  targetCapable,
  targetReady,
  snapshotClassExists,
  storageLocationAvailable,
  approved,
  authorized,
  templateUsable,
];

/** What keeps tenants apart, whatever else has to hold. */
export const TENANCY_CHECKS: readonly Check[] = [
  specValid,
  storageLocationOpen,
  snapshotClassOpen,
  approved,
  authorized,
];

/** @returns the first thing in the Operation's way, or undefined when only others may be */
export function firstHindrance(operation: VeleroOperation, world: World): Hindrance | undefined {
  return firstOf(CHECKS, operation, world);
}

/** @returns what the first of these checks that does not hold says */
export function firstOf(checks: readonly Check[], operation: VeleroOperation, world: World): Hindrance | undefined {
  for (const check of checks) {
    const hindrance = check(operation, world);
    if (hindrance !== undefined) return hindrance;
  }
  return undefined;
}
