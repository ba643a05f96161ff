import { Label, MANAGED_BY, snapshotClassAnnotation } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import { attemptOf, type VeleroOperation } from "../../api/operation.ts";
import type { BackupParameters, RestoreParameters } from "../../api/parameters.ts";
import { platformExclusions } from "../../api/platformExclusions.ts";
import type { Manifest } from "../../kube/metadata.ts";
import type { RunnerSettings } from "../context.ts";

/** The Velero object of one attempt, whole but for its name: the name may turn out to be taken. */
export type Plan = (name: string) => Manifest;

/** What a plan needs to know of where it will be carried out. */
export type PlanSettings = Pick<RunnerSettings, "veleroNamespace" | "clusterId">;

const LABEL_VALUE = /^[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/;

/**
 * The Backup that an Operation asks for: exactly its own namespace, and the parameters that were given; what was left
 * out is Velero's to decide. There is no ownerReference: Velero recreates Backups from the object store, and the garbage
 * collector would take those away.
 *
 * @param driver the `driver` of the VolumeSnapshotClass that csiSnapshotClassName names, when it names one
 */
export function planBackup(
  operation: VeleroOperation,
  parameters: BackupParameters,
  settings: PlanSettings,
  driver?: string,
): Plan {
  // Velero's Backup has no field for the class: it is chosen by annotation (velero.io/csi-volumesnapshot-class_<driver>).
  const { csiSnapshotClassName, ...spec } = parameters;
  return (name) => ({
    metadata: {
      name,
      namespace: settings.veleroNamespace,
      labels: labelsFor(operation, settings),
      ...(csiSnapshotClassName !== undefined &&
        driver !== undefined && { annotations: { [snapshotClassAnnotation(driver)]: csiSnapshotClassName } }),
    },
    spec: { includedNamespaces: [operation.metadata.namespace], ...spec },
  });
}

/**
 * The Restore that an Operation asks for: the parameters that were given, and the namespaces of its Backup by name, so
 * that nothing which the Backup gains later comes along. What Velero would write with rights that who asks does not have
 * is left out, whatever was asked for. docs/contract.md#excluded-resources.
 *
 * @param includedNamespaces the namespaces of the Backup, as {@link checkRestoreScope} allowed them
 */
export function planRestore(
  operation: VeleroOperation,
  parameters: RestoreParameters,
  settings: PlanSettings & Pick<RunnerSettings, "restoreExcludedResources">,
  includedNamespaces: readonly string[],
): Plan {
  return (name) => ({
    metadata: { name, namespace: settings.veleroNamespace, labels: labelsFor(operation, settings) },
    spec: {
      ...parameters,
      includedNamespaces: [...includedNamespaces],
      excludedResources: [
        ...new Set([...(parameters.excludedResources ?? []), ...platformExclusions(settings.restoreExcludedResources)]),
      ],
    },
  });
}

/** As `-l` wants it: what carries both labels belongs to this attempt of this Operation. */
export function attemptSelector(operation: VeleroOperation): string {
  return `${operationSelector(operation.metadata.uid)},${Label.attempt}=${attemptOf(operation)}`;
}

/** As `-l` wants it: what belongs to this Operation, any attempt of it. */
export function operationSelector(uid: string): string {
  return `${Label.operation}=${labelValue(uid)}`;
}

/** Whether an object with these labels was made for this attempt of this Operation. */
export function isMadeFor(operation: VeleroOperation, labels: Readonly<Record<string, string>> | undefined): boolean {
  return (
    labels?.[Label.operation] === labelValue(operation.metadata.uid) &&
    labels[Label.attempt] === String(attemptOf(operation))
  );
}

function labelsFor(operation: VeleroOperation, { clusterId }: PlanSettings): Record<string, string> {
  const target = labelValue(operation.spec.targetRef.name);
  return {
    [Label.managedBy]: MANAGED_BY,
    ...(clusterId !== undefined && { [Label.clusterId]: labelValue(clusterId) }),
    [Label.operation]: labelValue(operation.metadata.uid),
    [Label.attempt]: String(attemptOf(operation)),
    // A Restore's target need not exist, so its name was never checked by the API server: what is no label is left out.
    ...(LABEL_VALUE.test(target) && { [Label.target]: target, [Label.applicationInstance]: target }),
  };
}
