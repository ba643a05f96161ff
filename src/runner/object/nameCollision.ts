import type { Backup, VeleroObject } from "../../api/velero.ts";

/**
 * Whether Velero refused this Backup because the object store holds one of its name already. A DeleteBackupRequest for it
 * would destroy that one. Velero, pkg/controller/backup_controller.go.
 */
export function isNameCollision(object: VeleroObject): boolean {
  return object.status?.failureReason?.includes("already exists in object storage") ?? false;
}

/**
 * Whether Velero refused this Backup without beginning it, so that nothing in the object store is its own: an older backup
 * of its name may lie there. Its phase may be Deleting by now, which hides FailedValidation.
 */
export function failedValidation(backup: Backup): boolean {
  const { phase, validationErrors } = backup.status ?? {};
  return isNameCollision(backup) || phase === "FailedValidation" || (validationErrors ?? []).length > 0;
}
