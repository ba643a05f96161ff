import { Label, MANAGED_BY, snapshotClassAnnotation } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import { attemptOf, type VeleroOperation } from "../../api/operation.ts";
import type { BackupParameters, RestoreParameters } from "../../api/parameters.ts";
import { platformExclusions } from "../../api/platformExclusions.ts";
import type { Manifest } from "../../kube/metadata.ts";
import type { RunnerSettings } from "../context.ts";

/** Makes the manifest of an attempt's Velero object for a name: the first name may turn out to be taken. */
export type Plan = (name: string) => Manifest;

/** The settings that every plan depends on. */
export type PlanSettings = Pick<RunnerSettings, "veleroNamespace" | "clusterId">;

const LABEL_VALUE = /^[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/;

/**
 * The Backup that an Operation asks for: exactly the Operation's namespace, and the parameters that it gives; Velero
 * has defaults for the others. The Backup has no ownerReference: Velero recreates Backups from the object store, and
 * the garbage collector would delete those.
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
 * The Restore that an Operation asks for: the parameters that it gives, and the Backup's namespaces by name, so that it
 * reads no namespace which the Backup gains later. Resources that the requester may not be allowed to write, such as
 * quotas, are excluded whatever the parameters say: Velero would write them with its own rights.
 * docs/contract.md#excluded-resources.
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

/** The label selector for what belongs to this attempt of this Operation. */
export function attemptSelector(operation: VeleroOperation): string {
  return `${operationSelector(operation.metadata.uid)},${Label.attempt}=${attemptOf(operation)}`;
}

/** The label selector for what belongs to any attempt of this Operation. */
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
    // A Restore's target need not exist, so the API server never checked its name: it may be no valid label value.
    ...(LABEL_VALUE.test(target) && { [Label.target]: target, [Label.applicationInstance]: target }),
  };
}
