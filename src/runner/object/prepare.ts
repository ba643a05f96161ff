import { Label, MAX_SNAPSHOT_DRIVER_LENGTH } from "../../api/labels.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import {
  asksForLeftOut,
  backupParametersSchema,
  parseParameters,
  restoreParametersSchema,
} from "../../api/parameters.ts";
import { Reason } from "../../api/reasons.ts";
import { locationHindrance, storageLocations } from "../../api/velero.ts";
import { isNoSuchKind } from "../../kube/errors.ts";
import { namespaces, type VolumeSnapshotClass, volumeSnapshotClasses } from "../../kube/resources.ts";
import { attemptIn } from "../attempt/attempt.ts";
import { writeStatus } from "../attempt/writeStatus.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { Failure, LocationUnavailable } from "../errors.ts";
import { checkAdmitted } from "./admittedSpec.ts";
import { find } from "./find.ts";
import { type Plan, planBackup, planRestore } from "./plan.ts";
import { checkRestoreScope } from "./restoreScope.ts";
import { backupRef, chooseSourceBackup } from "./sourceBackup.ts";
import { resourcesProblem } from "./unknownResources.ts";

/**
 * Decides what to create for an Operation, after checking that it may be created. docs/contract.md#runner.
 *
 * @throws Failure SpecChanged or AuthorizationExpired when the admission does not cover it, ValidationFailed for wrong
 *   parameters, NamespaceExcluded for a Backup of a namespace that Velero skips, RestoreForbidden for a Restore that
 *   reads or writes more than it may; LocationUnavailable for a Restore whose files Velero cannot read now
 */
export async function prepare(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  checkAdmitted(context, operation);
  return operation.spec.type === "Backup"
    ? await prepareBackup(context, operation)
    : await prepareRestore(context, operation);
}

async function prepareBackup(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  const parsed = parseParameters(backupParametersSchema, operation.spec.parameters);
  if (!parsed.ok) throw invalid(parsed.message);
  const problem = await resourcesProblem(context, parsed.value);
  if (problem !== undefined) throw invalid(problem);
  await checkIncluded(context, operation.metadata.namespace);
  const { csiSnapshotClassName: name } = parsed.value;
  if (name === undefined) return planBackup(operation, parsed.value, context.settings);
  const snapshotClass = await snapshotClassNamed(context, name);
  // Velero would only mention the missing class in its debug log, and use another class. The admission has waited for the
  // class (dispatcher/admission/checks/snapshotClass.ts), so it has vanished since.
  if (snapshotClass === undefined) {
    throw invalid(`spec.parameters.csiSnapshotClassName: there is no VolumeSnapshotClass ${name}`);
  }
  const { driver } = snapshotClass;
  if (driver === undefined) {
    throw invalid(`spec.parameters.csiSnapshotClassName: the VolumeSnapshotClass ${name} names no driver`);
  }
  if (driver.length > MAX_SNAPSHOT_DRIVER_LENGTH) {
    throw invalid(
      `spec.parameters.csiSnapshotClassName: the driver ${driver} of ${name} has more than ${MAX_SNAPSHOT_DRIVER_LENGTH} characters, so Velero cannot be told to use this class`,
    );
  }
  return planBackup(operation, parsed.value, context.settings, driver);
}

/** A cluster without the snapshot CRDs has no classes. */
async function snapshotClassNamed(context: RunnerContext, name: string): Promise<VolumeSnapshotClass | undefined> {
  try {
    return await find(retryingBriefly(context), volumeSnapshotClasses, { name });
  } catch (error) {
    if (isNoSuchKind(error)) return undefined;
    throw error;
  }
}

/** Velero skips a namespace with this label, and calls the empty backup Completed. */
async function checkIncluded(context: RunnerContext, name: string): Promise<void> {
  const label = (await find(context, namespaces, { name }))?.metadata.labels?.[Label.excludeFromBackup];
  if (label !== "true") return;
  const message = `namespace ${name} has the label ${Label.excludeFromBackup}=true: Velero backs up nothing of it; remove the label, then run this again`;
  throw new Failure(Reason.namespaceExcluded, message);
}

/** Records the chosen Backup in the status first, so that no later run of the attempt restores another one. */
async function prepareRestore(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  const parsed = parseParameters(restoreParametersSchema, operation.spec.parameters);
  if (!parsed.ok) throw invalid(parsed.message);
  const leftOut = asksForLeftOut(parsed.value, context.settings.restoreExcludedResources);
  if (leftOut !== undefined) throw invalid(leftOut);
  const source = await chooseSourceBackup(context, operation, parsed.value);
  if (!source.ok) throw new Failure(Reason.restoreForbidden, source.message);
  const scope = checkRestoreScope(operation, parsed.value, source.backup, context.settings);
  if (!scope.ok) throw new Failure(Reason.restoreForbidden, scope.message);
  const chosen = backupRef(scope.backup);
  const written = await writeStatus(context, attemptIn(operation), ({ status }) =>
    status?.backupRef === undefined ? { backupRef: chosen } : {},
  );
  // Another run of the attempt recorded its choice first.
  if (written.status?.backupRef?.uid !== chosen.uid) return await prepareRestore(context, written);
  await checkReadable(context, scope.backup.spec?.storageLocation ?? "");
  const parameters = { ...parsed.value, backupName: chosen.name };
  return planRestore(operation, parameters, context.settings, scope.includedNamespaces);
}

/** A Restore whose files Velero cannot read at the moment fails validation, which is final: better wait. */
async function checkReadable(context: RunnerContext, name: string): Promise<void> {
  if (name === "") return;
  const location = await find(context, storageLocations, { namespace: context.settings.veleroNamespace, name });
  const why = locationHindrance(location, "Restore");
  if (why !== undefined) throw new LocationUnavailable(`BackupStorageLocation "${name}" ${why}`, name);
}

export function invalid(message: string): Failure {
  return new Failure(Reason.validationFailed, message, { invalid: true });
}
