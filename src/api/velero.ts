import * as z from "zod";
import { lenient } from "../kube/lenient.ts";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import type { OperationType } from "./operation.ts";

/**
 * Velero's objects, as far as they are read here. Loose and lenient on purpose: fields and phases that a newer Velero adds
 * must not stop anybody, and what exists is never taken for missing. Velero, pkg/apis/velero. Each kind's schema is built when
 * the first such object is read (z.lazy): a runner meets few of them.
 */

const GROUP = "velero.io";

/** Exact match: FinalizingPartiallyFailed and WaitingForPluginOperationsPartiallyFailed are not the end. */
const TERMINAL_PHASES: ReadonlySet<string> = new Set(["Completed", "PartiallyFailed", "Failed", "FailedValidation"]);

/** Whether Velero will not change the phase any more (but see VeleroPhase Failed at a server's restart: re-read). */
export function isVeleroTerminal(phase: string | undefined): boolean {
  return phase !== undefined && TERMINAL_PHASES.has(phase);
}

/** Whether Velero still acts for this object. Deleting can last for ever, and touches no namespace. */
export function isAtWork(object: VeleroObject | undefined): boolean {
  const phase = object?.status?.phase;
  return object !== undefined && !isVeleroTerminal(phase) && phase !== "Deleting";
}

/** Completed or PartiallyFailed: there is something to restore, and a person may need it. */
export function isRestorable(phase: string | undefined): boolean {
  return phase === "Completed" || phase === "PartiallyFailed";
}

/**
 * Why Velero would not take this location for that now, to be read after its name; undefined where it would. A Restore only
 * reads: ReadOnly is what people set before a disaster restore. docs/velero-facts.md#backupstoragelocation.
 */
export function locationHindrance(location: StorageLocation | undefined, type: OperationType): string | undefined {
  if (location === undefined) return "does not exist";
  const { phase = "" } = location.status ?? {};
  // Velero takes exactly this phase (1.16 and later); an empty one is not validated yet.
  if (phase !== "Available") return `is ${phase === "" ? "not validated yet" : phase}`;
  return type === "Backup" && location.spec?.accessMode === "ReadOnly" ? "is ReadOnly" : undefined;
}

/**
 * Velero refused this Backup or Restore for nothing but the state of its storage location: it made nothing, and will take
 * another one once the location is available. Velero, pkg/controller/backup_controller.go and restore_controller.go.
 */
export function isRefusedForLocation({ status }: VeleroObject): boolean {
  const errors = status?.validationErrors ?? [];
  if (status?.phase !== "FailedValidation" || errors.length === 0) return false;
  return errors.every((error) => LOCATION_REFUSALS.some((refusal) => refusal.test(error)));
}

/** From the start of the message on: further behind it may quote what a tenant wrote. */
const LOCATION_REFUSALS = [
  /^backup can't be created because (backup storage location|BackupStorageLocation) /,
  /^an existing backup storage location was not specified at backup creation time /,
  /^error getting backup storage location: /,
  /^The BSL \S+ is unavailable, /,
  /^Error retrieving backup: BackupStorageLocation\.velero\.io /,
];

/** What a phase says that is no text: nothing is known of the object but that it exists. */
const UNREADABLE = "unreadable";

const count = lenient(z.number());

const commonStatus = () => ({
  phase: z.string().optional().catch(UNREADABLE),
  // Why a backup was refused or failed decides whose files its deletion would take: in doubt it was.
  failureReason: z.string().optional().catch(UNREADABLE),
  validationErrors: z.array(z.string()).nullish().catch([UNREADABLE]),
  warnings: count,
  errors: count,
  startTimestamp: lenient(z.string()),
  completionTimestamp: lenient(z.string()),
  hookStatus: lenient(z.looseObject({ hooksAttempted: count, hooksFailed: count })),
});

/** As a whole: part of a list of namespaces is another list. */
const namespaceList = lenient(z.array(z.string()));

export const backupSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        includedNamespaces: namespaceList,
        storageLocation: lenient(z.string()),
        snapshotVolumes: lenient(z.boolean()),
        snapshotMoveData: lenient(z.boolean()),
        defaultVolumesToFsBackup: lenient(z.boolean()),
      }),
    ),
    status: z
      .looseObject({
        ...commonStatus(),
        progress: lenient(z.looseObject({ itemsBackedUp: count, totalItems: count })),
        backupItemOperationsAttempted: count,
        backupItemOperationsCompleted: count,
        backupItemOperationsFailed: count,
      })
      .optional()
      .catch({ phase: UNREADABLE }),
  }),
);

export const restoreSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        backupName: lenient(z.string()),
        includedNamespaces: namespaceList,
        namespaceMapping: lenient(z.record(z.string(), z.string())),
        restorePVs: lenient(z.boolean()),
      }),
    ),
    status: z
      .looseObject({
        ...commonStatus(),
        progress: lenient(z.looseObject({ itemsRestored: count, totalItems: count })),
        restoreItemOperationsAttempted: count,
        restoreItemOperationsCompleted: count,
        restoreItemOperationsFailed: count,
      })
      .optional()
      .catch({ phase: UNREADABLE }),
  }),
);

export const storageLocationSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        accessMode: lenient(z.string()),
        default: lenient(z.boolean()),
        objectStorage: lenient(z.looseObject({ caCert: lenient(z.string()) })),
        /** The provider plugin's own settings. */
        config: lenient(z.looseObject({ insecureSkipTLSVerify: lenient(z.string()) })),
      }),
    ),
    status: lenient(z.looseObject({ phase: z.string().optional().catch(UNREADABLE), message: lenient(z.string()) })),
  }),
);

/** What a DownloadRequest can ask for, as far as it is asked for here. */
export type DownloadKind =
  | "BackupContents"
  | "BackupResults"
  | "BackupVolumeInfos"
  | "RestoreResults"
  | "RestoreResourceList"
  | "RestoreVolumeInfo";

export const downloadRequestSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    status: lenient(z.looseObject({ phase: lenient(z.string()), downloadURL: lenient(z.string()) })),
  }),
);

export const deleteBackupRequestSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ backupName: lenient(z.string()) })),
    status: lenient(
      z.looseObject({ phase: lenient(z.string()), errors: z.array(z.string()).nullish().catch([UNREADABLE]) }),
    ),
  }),
);

export const dataMovementSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ cancel: lenient(z.boolean()) })),
    status: lenient(
      z.looseObject({
        phase: lenient(z.string()),
        progress: lenient(z.looseObject({ totalBytes: lenient(z.number()), bytesDone: lenient(z.number()) })),
      }),
    ),
  }),
);

export type Backup = z.infer<typeof backupSchema>;
export type Restore = z.infer<typeof restoreSchema>;
export type VeleroObject = Backup | Restore;
export type StorageLocation = z.infer<typeof storageLocationSchema>;
export type DownloadRequest = z.infer<typeof downloadRequestSchema>;
export type DeleteBackupRequest = z.infer<typeof deleteBackupRequestSchema>;
export type DataMovement = z.infer<typeof dataMovementSchema>;

export function isBackup(object: VeleroObject): object is Backup {
  return object.kind === backups.kind;
}

export function isRestore(object: VeleroObject): object is Restore {
  return object.kind === restores.kind;
}

const v1 = { group: GROUP, version: "v1", namespaced: true } as const;

export const backups: Resource<Backup> = { ...v1, plural: "backups", kind: "Backup", schema: backupSchema };
export const restores: Resource<Restore> = { ...v1, plural: "restores", kind: "Restore", schema: restoreSchema };
export const storageLocations: Resource<StorageLocation> = {
  ...v1,
  plural: "backupstoragelocations",
  kind: "BackupStorageLocation",
  schema: storageLocationSchema,
};
export const downloadRequests: Resource<DownloadRequest> = {
  ...v1,
  plural: "downloadrequests",
  kind: "DownloadRequest",
  schema: downloadRequestSchema,
};
export const deleteBackupRequests: Resource<DeleteBackupRequest> = {
  ...v1,
  plural: "deletebackuprequests",
  kind: "DeleteBackupRequest",
  schema: deleteBackupRequestSchema,
};
export const podVolumeBackups: Resource<DataMovement> = {
  ...v1,
  plural: "podvolumebackups",
  kind: "PodVolumeBackup",
  schema: dataMovementSchema,
};
export const podVolumeRestores: Resource<DataMovement> = {
  ...v1,
  plural: "podvolumerestores",
  kind: "PodVolumeRestore",
  schema: dataMovementSchema,
};
export const dataUploads: Resource<DataMovement> = {
  ...v1,
  version: "v2alpha1",
  plural: "datauploads",
  kind: "DataUpload",
  schema: dataMovementSchema,
};
export const dataDownloads: Resource<DataMovement> = {
  ...v1,
  version: "v2alpha1",
  plural: "datadownloads",
  kind: "DataDownload",
  schema: dataMovementSchema,
};
