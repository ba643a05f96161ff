import type { VeleroOperation } from "../../api/operation.ts";
import { approved } from "./checks/approval.ts";
import { authorized } from "./checks/authorized.ts";
import { notRestoredCopy } from "./checks/notRestoredCopy.ts";
import { snapshotClassOpen, storageLocationOpen } from "./checks/openToNamespace.ts";
import { snapshotClassExists } from "./checks/snapshotClass.ts";
import { storageLocationAvailable } from "./checks/storageLocation.ts";
import { targetCapable, targetFound, targetReady } from "./checks/target.ts";
import { sameCluster, targetInScope } from "./checks/targetScope.ts";
import { templateUsable } from "./checks/template.ts";
import { specValid } from "./checks/validation.ts";
import type { AdmissionWorld, Check, Hindrance } from "./hindrance.ts";

/**
 * The checks that look at one Operation alone, in the order of docs/contract.md#admission. Whether there is room for it among the
 * others is decided after them. The template comes last: a tenant can mend most of what the checks before it find.
 */
export const CHECKS: readonly Check[] = [
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

/** The checks that keep tenants apart. */
export const TENANCY_CHECKS: readonly Check[] = [
  specValid,
  storageLocationOpen,
  snapshotClassOpen,
  approved,
  authorized,
];

/** @returns the first hindrance of the Operation's own; undefined if at most other Operations are in its way */
export function firstHindrance(operation: VeleroOperation, world: AdmissionWorld): Hindrance | undefined {
  return firstOf(CHECKS, operation, world);
}

/** @returns the hindrance of the first of these checks that does not hold */
export function firstOf(
  checks: readonly Check[],
  operation: VeleroOperation,
  world: AdmissionWorld,
): Hindrance | undefined {
  for (const check of checks) {
    const hindrance = check(operation, world);
    if (hindrance !== undefined) return hindrance;
  }
  return undefined;
}
