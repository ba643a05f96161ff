/** What an Operation hands to its reader. docs/contract.md#outputs; a field that is not known is left out. */
export type Outputs = {
  backupName?: string;
  restoreName?: string;
  storageLocation?: string;
  /** Of a Restore: what it left out because the platform's settings say so. */
  excludedResources?: string[];
  backupItemCount?: string;
  restoreItemCount?: string;
  /** Archive and volumes; a lower bound. */
  backupSizeBytes?: string;
  warningCount?: string;
  errorCount?: string;
  /** Velero's errors (partial failures only, with `error: ` in front) and warnings. */
  warnings?: string[];
  restoreCreatedCount?: string;
  restoreUpdatedCount?: string;
  restoreSkippedCount?: string;
  restoreFailedCount?: string;
  /** What was there before and was changed, as `kind namespace/name`. */
  updatedItems?: string[];
  /** What was left as it was: it is there, and the same. */
  skippedItems?: string[];
  /** What is not as it is in the backup: there and different, or not to be made. */
  failedItems?: string[];
  /** Volumes whose data is not in the backup, or was not restored from it, though nobody asked for that. */
  skippedVolumes?: string[];
  /** What was named and Velero may not have known. */
  unknownResources?: string[];
  /** Files that are not what Velero wrote, and how that shows. */
  unreadableFiles?: string[];
  /** What could not be had, and why. */
  missing?: string[];
};
