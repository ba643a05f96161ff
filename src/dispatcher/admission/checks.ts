import type { VeleroOperation } from "../../api/operation.ts";
import type { World } from "../world.ts";
import { approved } from "./approved.ts";
import { authorized } from "./authorized.ts";
import type { Check, Hindrance } from "./check.ts";
import { snapshotClassOpen, storageLocationOpen } from "./openToNamespace.ts";
import { original } from "./restoredCopy.ts";
import { inScope, sameCluster } from "./scope.ts";
import { snapshotClassExists } from "./snapshotClass.ts";
import { storageLocationAvailable } from "./storageLocation.ts";
import { targetCapable, targetFound, targetReady } from "./target.ts";
import { templateUsable } from "./template.ts";
import { valid } from "./validation.ts";

/**
 * What an Operation must pass for itself, in the order of docs/contract.md, Admission 0 to 8; that there is room for it
 * among the others is a matter of order.ts. The template comes last: everything before it is the tenant's to mend.
 */
const CHECKS: readonly Check[] = [
  original,
  inScope,
  sameCluster,
  valid,
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
export const KEEPING_APART: readonly Check[] = [valid, storageLocationOpen, snapshotClassOpen, approved, authorized];

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
