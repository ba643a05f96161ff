/**
 * Every label and annotation key, in one place. The `app.` and `ops.` keys are upstream's, so that users of the
 * vworkspace-operator find the same ownership labels here.
 */
export const Label = {
  managedBy: "app.vworkspace.io/managed-by",
  clusterId: "app.vworkspace.io/cluster-id",
  applicationInstance: "app.vworkspace.io/application-instance",
  operation: "ops.vworkspace.io/operation",
  operationNamespace: "ops.vworkspace.io/operation-namespace",
  operationName: "ops.vworkspace.io/operation-name",
  attempt: "ops.vworkspace.io/attempt",
  target: "ops.vworkspace.io/target",
  /** Set by Velero on every object that it restores. */
  veleroRestoreName: "velero.io/restore-name",
  /** `"true"`: Velero leaves the object out of every backup. */
  excludeFromBackup: "velero.io/exclude-from-backup",
  veleroBackupName: "velero.io/backup-name",
  /** On what a restore drill makes: the UID of the Operation whose Backup it tries. */
  drill: "ops.vworkspace.io/drill",
  veleroBackupUid: "velero.io/backup-uid",
  /** Set by the Job controller on every pod of a Job. */
  jobUid: "batch.kubernetes.io/controller-uid",
  jobName: "batch.kubernetes.io/job-name",
} as const;

export const Annotation = {
  /** `"true"` cancels the Operation. */
  cancel: "ops.vworkspace.io/cancel",
  /** Any new token runs a failed Operation again, once per token. */
  rerun: "ops.vworkspace.io/rerun",
  /** On an Operation that made a Backup: when the last restore drill of it ended (RFC 3339), a blank, and with what result. */
  lastDrill: "ops.vworkspace.io/last-drill",
  /** On an ApplicationInstance: the engines that may back it up (comma separated). */
  backupCapability: "ops.vworkspace.io/backup",
  restoreCapability: "ops.vworkspace.io/restore",
  /** On an ApplicationInstance: with {@link RECONCILE_DISABLED}, its own controller leaves it alone. */
  reconcile: "apps.vworkspace.io/reconcile",
  /** On an ApplicationInstance: for which attempt of which Operation (by UID) the dispatcher has paused it. */
  pausedBy: "ops.vworkspace.io/paused-by",
} as const;

export const RECONCILE_DISABLED = "disabled";

/** The value of the managed-by label and of the field manager that creates Velero's objects. */
export const MANAGED_BY = "vworkspace-operator";

/** The value of the managed-by label on Operations which the platform's control plane created. */
export const MANAGED_BY_CONTROL_PLANE = "control-plane";

/**
 * The annotation by which a Backup chooses its VolumeSnapshotClass. Velero compares it with the StorageClass's
 * provisioner in lower case; the part after `/` may have 63 characters at most, which leaves
 * {@link MAX_SNAPSHOT_DRIVER_LENGTH} for the driver.
 */
export function snapshotClassAnnotation(driver: string): string {
  return `velero.io/${SNAPSHOT_CLASS_PREFIX}${driver.toLowerCase()}`;
}

const SNAPSHOT_CLASS_PREFIX = "csi-volumesnapshot-class_";

/** Characters; see {@link snapshotClassAnnotation}. */
export const MAX_SNAPSHOT_DRIVER_LENGTH = 63 - SNAPSHOT_CLASS_PREFIX.length;
