import { isCrossNamespace, isRequestOver } from "../../api/crossNamespace.ts";
import { specDigest } from "../../api/digest.ts";
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
import { Failure, LocationUnavailable, NotAdmitted } from "../errors.ts";
import { find } from "./find.ts";
import { type Plan, planBackup, planRestore } from "./plan.ts";
import { resourcesProblem } from "./resourceLists.ts";
import { checkRestoreScope } from "./restoreScope.ts";
import { backupRef, chooseSourceBackup } from "./sourceBackup.ts";

/**
 * That the spec is the one that was admitted, and that a Restore from another namespace is still young enough: its Job may have
 * waited. docs/contract.md#admitted-spec, docs/contract.md#restores-from-another-namespace.
 */
function checkAdmitted({ clock, settings }: RunnerContext, operation: VeleroOperation): void {
  const { spec, status } = operation;
  // A dispatcher of an older version noted it not, and the present one is about to.
  if (status?.admittedSpec === undefined) throw new NotAdmitted("it is still to be noted what was admitted");
  if (status.admittedSpec !== specDigest(spec)) {
    const message = "spec is not what was admitted: somebody has changed it since; create a new Operation instead";
    throw new Failure(Reason.specChanged, message, { invalid: true });
  }
  const window = { now: clock.now(), windowMs: settings.requestWindowMs };
  if (isCrossNamespace(operation) && isRequestOver(status, window)) {
    const message = `its runner started too late: a Restore from another namespace must begin within ${window.windowMs / 1000} s after it was asked for, at ${status.request?.at}`;
    throw new Failure(Reason.authorizationExpired, message, { invalid: true });
  }
}

/**
 * What is to be created for an Operation, once it is certain that it may be. docs/contract.md#runner.
 *
 * @throws Failure SpecChanged, AuthorizationExpired for what was not admitted so,
 *   ValidationFailed for parameters that are wrong, NamespaceExcluded for a Backup of what Velero leaves out,
 *   RestoreForbidden for a Restore beyond its bounds; LocationUnavailable for one whose files cannot be read now
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

/** A cluster without the snapshot CRDs has no classes. */
async function snapshotClassNamed(context: RunnerContext, name: string): Promise<VolumeSnapshotClass | undefined> {
  try {
    return await find(retryingBriefly(context), volumeSnapshotClasses, { name });
  } catch (error) {
    if (isNoSuchKind(error)) return undefined;
    throw error;
  }
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
  const source = await chooseSourceBackup(context, operation, parsed.value);
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
