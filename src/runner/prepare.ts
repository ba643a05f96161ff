import { Label, MAX_SNAPSHOT_DRIVER_LENGTH } from "../api/labels.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { asksForLeftOut, backupParametersSchema, parseParameters, restoreParametersSchema } from "../api/parameters.ts";
import { Reason } from "../api/reasons.ts";
import { backups } from "../api/velero.ts";
import { isNotFound } from "../kube/errors.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { namespaces, volumeSnapshotClasses } from "../kube/resources.ts";
import { retry } from "../kube/retry.ts";
import type { RunnerContext } from "./context.ts";
import { Failure } from "./endings.ts";
import { type Plan, planBackup, planRestore } from "./plan.ts";
import { checkRestoreScope } from "./scope.ts";

/**
 * What is to be created for an Operation, once it is certain that it may be. docs/contract.md, Runner 2.
 *
 * @throws Failure ValidationFailed for parameters that are wrong, NamespaceExcluded for a Backup of what Velero leaves out,
 *   RestoreForbidden for a Restore beyond its bounds
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

async function prepareRestore(context: RunnerContext, operation: VeleroOperation): Promise<Plan> {
  const parsed = parseParameters(restoreParametersSchema, operation.spec.parameters);
  if (!parsed.ok) throw invalid(parsed.message);
  const leftOut = asksForLeftOut(parsed.value, context.settings.restoreExcludedResources);
  if (leftOut !== undefined) throw invalid(leftOut);
  const source = { namespace: context.settings.veleroNamespace, name: parsed.value.backupName };
  const backup = await find(context, backups, source);
  const scope = checkRestoreScope(operation, parsed.value, backup, context.settings);
  if (!scope.ok) throw new Failure(Reason.restoreForbidden, scope.message);
  return planRestore(operation, parsed.value, context.settings, scope.includedNamespaces);
}

function invalid(message: string): Failure {
  return new Failure(Reason.validationFailed, message, { invalid: true });
}

async function find<T extends KubeObject>(
  context: RunnerContext,
  resource: Resource<T>,
  target: { namespace?: string; name: string },
): Promise<T | undefined> {
  try {
    return await retry(() => context.client.get(resource, target, context), context);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
