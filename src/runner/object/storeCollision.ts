import type { Backup, VeleroObject } from "../../api/velero.ts";

/**
 * Whether Velero did not run this Backup because the object store already holds a backup of its name. A
 * DeleteBackupRequest for this Backup would destroy that older one. Velero, pkg/controller/backup_controller.go.
 */
export function isNameTakenInStore(object: VeleroObject): boolean {
  return object.status?.failureReason?.includes("already exists in object storage") ?? false;
}

/**
 * Whether Velero did not run this Backup at all. Then no file in the object store is its own, and files under its name
 * are an older backup's. The phase alone does not tell: it may be Deleting by now.
 */
export function failedValidation(backup: Backup): boolean {
  const { phase, validationErrors } = backup.status ?? {};
  return isNameTakenInStore(backup) || phase === "FailedValidation" || (validationErrors ?? []).length > 0;
}
