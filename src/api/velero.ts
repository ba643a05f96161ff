import * as z from "zod";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";

/**
 * Velero's objects, as far as they are read here. Loose on purpose: fields and phases that a newer Velero adds must not
 * stop anybody. Velero, pkg/apis/velero.
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

const commonStatus = {
  phase: z.string().optional(),
  failureReason: z.string().optional(),
  validationErrors: z.array(z.string()).nullish(),
  warnings: z.number().optional(),
  errors: z.number().optional(),
  startTimestamp: z.string().nullish(),
  completionTimestamp: z.string().nullish(),
};

export const backupSchema = kubeObjectSchema.extend({
  spec: z
    .looseObject({
      includedNamespaces: z.array(z.string()).nullish(),
      storageLocation: z.string().optional(),
      snapshotVolumes: z.boolean().nullish(),
    })
    .optional(),
  status: z
    .looseObject({
      ...commonStatus,
      progress: z.looseObject({ itemsBackedUp: z.number().optional(), totalItems: z.number().optional() }).nullish(),
    })
    .optional(),
});

export const restoreSchema = kubeObjectSchema.extend({
  spec: z.looseObject({ backupName: z.string().optional() }).optional(),
  status: z
    .looseObject({
      ...commonStatus,
      progress: z.looseObject({ itemsRestored: z.number().optional(), totalItems: z.number().optional() }).nullish(),
    })
    .optional(),
});

export const storageLocationSchema = kubeObjectSchema.extend({
  spec: z
    .looseObject({
      accessMode: z.string().optional(),
      default: z.boolean().optional(),
      objectStorage: z
        .looseObject({ bucket: z.string().optional(), prefix: z.string().optional(), caCert: z.string().optional() })
        .nullish(),
      /** The provider plugin's own settings. */
      config: z.looseObject({ insecureSkipTLSVerify: z.string().optional() }).nullish(),
    })
    .optional(),
  status: z.looseObject({ phase: z.string().optional(), message: z.string().optional() }).optional(),
});

/** What a DownloadRequest can ask for, as far as it is asked for here. */
export type DownloadKind = "BackupContents" | "BackupResults" | "BackupVolumeInfos" | "RestoreResults";

export const downloadRequestSchema = kubeObjectSchema.extend({
  status: z.looseObject({ phase: z.string().optional(), downloadURL: z.string().optional() }).optional(),
});

export const deleteBackupRequestSchema = kubeObjectSchema.extend({
  spec: z.looseObject({ backupName: z.string() }).optional(),
  status: z.looseObject({ phase: z.string().optional(), errors: z.array(z.string()).nullish() }).optional(),
});

const dataProgress = z.looseObject({ totalBytes: z.number().optional(), bytesDone: z.number().optional() }).nullish();

export const dataMovementSchema = kubeObjectSchema.extend({
  spec: z.looseObject({ cancel: z.boolean().optional() }).optional(),
  status: z.looseObject({ phase: z.string().optional(), progress: dataProgress }).optional(),
});

export type Backup = z.infer<typeof backupSchema>;
export type Restore = z.infer<typeof restoreSchema>;
export type VeleroObject = Backup | Restore;
export type StorageLocation = z.infer<typeof storageLocationSchema>;
export type DownloadRequest = z.infer<typeof downloadRequestSchema>;
export type DeleteBackupRequest = z.infer<typeof deleteBackupRequestSchema>;
export type DataMovement = z.infer<typeof dataMovementSchema>;

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
