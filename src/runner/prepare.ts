import { Label, MAX_SNAPSHOT_DRIVER_LENGTH } from "../api/labels.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { asksForLeftOut, backupParametersSchema, parseParameters, restoreParametersSchema } from "../api/parameters.ts";
import { Reason } from "../api/reasons.ts";
import { locationHindrance, storageLocations } from "../api/velero.ts";
import { namespaces, volumeSnapshotClasses } from "../kube/resources.ts";
import type { RunnerContext } from "./context.ts";
import { Failure, LocationUnavailable } from "./endings.ts";
import { find } from "./find.ts";
import { type Plan, planBackup, planRestore } from "./plan.ts";
import { attemptIn } from "./request.ts";
import { checkRestoreScope } from "./scope.ts";
import { backupRef, chooseBackup } from "./source.ts";
import { writeStatus } from "./statusWriter.ts";

/**
 * What is to be created for an Operation, once it is certain that it may be. docs/contract.md, Runner 2.
 *
 * @throws Failure ValidationFailed for parameters that are wrong, NamespaceExcluded for a Backup of what Velero leaves out,
 *   RestoreForbidden for a Restore beyond its bounds; LocationUnavailable for one whose files cannot be read now
 */
export async function prepare(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  return operation.spec.type === "Backup"
    ? await prepareBackup(context, operation)
    : await prepareRestore(context, operation);
}

async function prepareBackup(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  const parsed = parseParameters(backupParametersSchema, operation.spec.parameters);
  if (!parsed.ok) throw invalid(parsed.message);
  await checkIncluded(context, operation.metadata.namespace);
  const { csiSnapshotClassName: name } = parsed.value;
  if (name === undefined) return planBackup(operation, parsed.value, context.settings);
  const snapshotClass = await find(context, volumeSnapshotClasses, { name });
  // Velero would only note it in its debug log and take another class.
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

/** Velero leaves a namespace with this label out, and calls a backup of nothing else Completed. */
async function checkIncluded(context: RunnerContext, name: string): Promise<void> {
  const label = (await find(context, namespaces, { name }))?.metadata.labels?.[Label.excludeFromBackup];
  if (label !== "true") return;
  const message = `namespace ${name} has the label ${Label.excludeFromBackup}=true: Velero backs up nothing of it; remove the label, then run this again`;
  throw new Failure(Reason.namespaceExcluded, message);
}

/** Which Backup it is goes into the status first: no later run of the attempt restores another one. */
async function prepareRestore(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  const parsed = parseParameters(restoreParametersSchema, operation.spec.parameters);
  if (!parsed.ok) throw invalid(parsed.message);
  const leftOut = asksForLeftOut(parsed.value, context.settings.restoreExcludedResources);
  if (leftOut !== undefined) throw invalid(leftOut);
  const source = await chooseBackup(context, operation, parsed.value);
  if (!source.ok) throw new Failure(Reason.restoreForbidden, source.message);
  const scope = checkRestoreScope(operation, parsed.value, source.backup, context.settings);
  if (!scope.ok) throw new Failure(Reason.restoreForbidden, scope.message);
  const chosen = backupRef(scope.backup);
  const written = await writeStatus(context, attemptIn(operation), ({ status }) =>
    status?.backupRef === undefined ? { backupRef: chosen } : {},
  );
  // Another run of the attempt was first.
  if (written.status?.backupRef?.uid !== chosen.uid) return await prepareRestore(context, written);
  await checkReadable(context, scope.backup.spec?.storageLocation ?? "");
  const parameters = { ...parsed.value, backupName: chosen.name };
  return planRestore(operation, parameters, context.settings, scope.includedNamespaces);
}

/** Velero refuses a Restore for good whose files it cannot read at the moment. */
async function checkReadable(context: RunnerContext, name: string): Promise<void> {
  if (name === "") return;
  const location = await find(context, storageLocations, { namespace: context.settings.veleroNamespace, name });
  const why = locationHindrance(location, "Restore");
  if (why !== undefined) throw new LocationUnavailable(`BackupStorageLocation "${name}" ${why}`, name);
}

function invalid(message: string): Failure {
  return new Failure(Reason.validationFailed, message, { invalid: true });
}
