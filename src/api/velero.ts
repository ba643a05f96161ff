import * as z from "zod";
import { lenient, lenientNumber, lenientText } from "../kube/lenient.ts";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import type { Deployment } from "../kube/resources.ts";
import type { OperationType } from "./operation.ts";

/**
 * Velero's objects, with the fields that this program reads. Loose and lenient on purpose: fields and phases of a newer
 * Velero must not stop anything, and an object that exists must never count as missing. Velero, pkg/apis/velero. Each
 * kind's schema is built when the first such object is read (z.lazy): a runner meets few of them.
 */

const GROUP = "velero.io";

/** Compared as a whole: FinalizingPartiallyFailed and WaitingForPluginOperationsPartiallyFailed are not terminal. */
const TERMINAL_PHASES: ReadonlySet<string> = new Set(["Completed", "PartiallyFailed", "Failed", "FailedValidation"]);

/**
 * Whether Velero will not change the phase any more. One exception: Failed after a restart of Velero's server
 * (confirmFailure.ts).
 */
export function isVeleroTerminal(phase: string | undefined): boolean {
  return phase !== undefined && TERMINAL_PHASES.has(phase);
}

/**
 * Whether Velero is still at work on this object. Deleting does not count: it can last for ever, and touches no
 * namespace.
 */
export function isAtWork(object: VeleroObject | undefined): boolean {
  const phase = object?.status?.phase;
  return object !== undefined && !isVeleroTerminal(phase) && phase !== "Deleting";
}

/**
 * How far Velero is with an object: it stands in Velero's own line; it is what Velero works on; or Velero takes the next one
 * already, and only waits for volumes or puts things in order. docs/velero-facts.md#veleros-own-queue.
 */
export type VeleroStage = "inLine" | "atWork" | "letGo";

export function veleroStage(phase: string | undefined): VeleroStage {
  if (phase === undefined || phase === "" || phase === "New" || phase === "Queued") return "inLine";
  const isLetGo = isVeleroTerminal(phase) || phase === "Deleting" || /^(WaitingForPlugin|Finalizing)/.test(phase);
  return isLetGo ? "letGo" : "atWork";
}

/** Velero's server is the first container of the Deployment of this name (its own restores look for it by that name, too). */
export const VELERO_DEPLOYMENT = "velero";

/**
 * On how many Backups Velero's server works at once (1.18 and later): the last `--concurrent-backups` of its command line.
 *
 * @returns undefined where it does not say; Velero's own default is 1
 */
export function concurrentBackups({ spec }: Deployment): number | undefined {
  const [server] = spec?.template?.spec?.containers ?? [];
  const words = [...(server?.command ?? []), ...(server?.args ?? [])];
  const values = words.flatMap((word, at) => {
    if (word === CONCURRENT_BACKUPS) return [words[at + 1]];
    return word.startsWith(`${CONCURRENT_BACKUPS}=`) ? [word.slice(CONCURRENT_BACKUPS.length + 1)] : [];
  });
  const value = values.at(-1) ?? "";
  // As Velero takes it: whatever is less than 1 is 1.
  return /^-?\d+$/.test(value) ? Math.max(1, Number(value)) : undefined;
}

const CONCURRENT_BACKUPS = "--concurrent-backups";

/** Completed or PartiallyFailed: there is something to restore, and somebody may need it. */
export function isRestorable(phase: string | undefined): boolean {
  return phase === "Completed" || phase === "PartiallyFailed";
}

/**
 * Why Velero would not use this location for a Backup or a Restore now, in words that follow its name; undefined if it
 * would. A Restore only reads, so ReadOnly is no hindrance: people set it before a disaster restore.
 * docs/velero-facts.md#backupstoragelocation.
 */
export function locationHindrance(location: StorageLocation | undefined, type: OperationType): string | undefined {
  if (location === undefined) return "does not exist";
  const { phase = "" } = location.status ?? {};
  // Velero 1.16 and later accept only this phase; Velero has not validated a location with an empty one yet.
  if (phase !== "Available") return `is ${phase === "" ? "not validated yet" : phase}`;
  return type === "Backup" && location.spec?.accessMode === "ReadOnly" ? "is ReadOnly" : undefined;
}

/**
 * Whether this Backup or Restore failed validation only because its storage location was unavailable. Velero has made
 * nothing for it, and will accept another one once the location is available. Velero,
 * pkg/controller/backup_controller.go and restore_controller.go.
 */
export function failedValidationForLocation({ status }: VeleroObject): boolean {
  const errors = status?.validationErrors ?? [];
  if (status?.phase !== "FailedValidation" || errors.length === 0) return false;
  return errors.every((error) => LOCATION_REFUSALS.some((refusal) => refusal.test(error)));
}

/** Matched at the start of a message: later in it, Velero may quote what a tenant wrote. */
const LOCATION_REFUSALS = [
  /^backup can't be created because (backup storage location|BackupStorageLocation) /,
  /^an existing backup storage location was not specified at backup creation time /,
  /^error getting backup storage location: /,
  /^The BSL \S+ is unavailable, /,
  /^Error retrieving backup: BackupStorageLocation\.velero\.io /,
];

/** The phase of an object whose phase is no text: nothing is known of it but that it exists. */
const UNREADABLE = "unreadable";

const commonStatus = () => ({
  phase: z.string().optional().catch(UNREADABLE),
  // These decide whose files the deletion of a backup would remove. An unreadable value counts as a failure, which is
  // the safe side.
  failureReason: z.string().optional().catch(UNREADABLE),
  validationErrors: z.array(z.string()).nullish().catch([UNREADABLE]),
  warnings: lenientNumber,
  errors: lenientNumber,
  startTimestamp: lenientText,
  completionTimestamp: lenientText,
  hookStatus: lenient(z.looseObject({ hooksAttempted: lenientNumber, hooksFailed: lenientNumber })),
});

/** Read as a whole or not at all: a part of a list of namespaces would be another list. */
const namespaceList = lenient(z.array(z.string()));

export const backupSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        includedNamespaces: namespaceList,
        storageLocation: lenientText,
        snapshotVolumes: lenient(z.boolean()),
        snapshotMoveData: lenient(z.boolean()),
        defaultVolumesToFsBackup: lenient(z.boolean()),
      }),
    ),
    status: z
      .looseObject({
        ...commonStatus(),
        progress: lenient(z.looseObject({ itemsBackedUp: lenientNumber, totalItems: lenientNumber })),
        backupItemOperationsAttempted: lenientNumber,
        backupItemOperationsCompleted: lenientNumber,
        backupItemOperationsFailed: lenientNumber,
      })
      .optional()
      .catch({ phase: UNREADABLE }),
  }),
);

export const restoreSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        backupName: lenientText,
        includedNamespaces: namespaceList,
        namespaceMapping: lenient(z.record(z.string(), z.string())),
        restorePVs: lenient(z.boolean()),
      }),
    ),
    status: z
      .looseObject({
        ...commonStatus(),
        progress: lenient(z.looseObject({ itemsRestored: lenientNumber, totalItems: lenientNumber })),
        restoreItemOperationsAttempted: lenientNumber,
        restoreItemOperationsCompleted: lenientNumber,
        restoreItemOperationsFailed: lenientNumber,
      })
      .optional()
      .catch({ phase: UNREADABLE }),
  }),
);

export const storageLocationSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        accessMode: lenientText,
        default: lenient(z.boolean()),
        objectStorage: lenient(z.looseObject({ caCert: lenientText })),
        /** The provider plugin's own settings. */
        config: lenient(z.looseObject({ insecureSkipTLSVerify: lenientText })),
      }),
    ),
    status: lenient(z.looseObject({ phase: z.string().optional().catch(UNREADABLE), message: lenientText })),
  }),
);

/** The kinds of files that this program asks for in a DownloadRequest. */
export type DownloadKind =
  | "BackupContents"
  | "BackupResults"
  | "BackupVolumeInfos"
  | "RestoreResults"
  | "RestoreResourceList"
  | "RestoreVolumeInfo";

export const downloadRequestSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    status: lenient(z.looseObject({ phase: lenientText, downloadURL: lenientText })),
  }),
);

export const deleteBackupRequestSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ backupName: lenientText })),
    status: lenient(z.looseObject({ phase: lenientText, errors: z.array(z.string()).nullish().catch([UNREADABLE]) })),
  }),
);

export const dataMovementSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ cancel: lenient(z.boolean()) })),
    status: lenient(
      z.looseObject({
        phase: lenientText,
        progress: lenient(z.looseObject({ totalBytes: lenientNumber, bytesDone: lenientNumber })),
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
