/** What an Operation hands to its reader. docs/contract.md#outputs; a field whose value is not known is left out. */
export type Outputs = {
  backupName?: string;
  restoreName?: string;
  storageLocation?: string;
  /** Of a Restore: the resources that it excluded because of the platform's settings. */
  excludedResources?: string[];
  backupItemCount?: string;
  restoreItemCount?: string;
  /** Archive and volumes; a lower bound. */
  backupSizeBytes?: string;
  warningCount?: string;
  errorCount?: string;
  /** Velero's errors (only of a partial failure, with the prefix `error: `) and warnings. */
  warnings?: string[];
  restoreCreatedCount?: string;
  restoreUpdatedCount?: string;
  restoreSkippedCount?: string;
  restoreFailedCount?: string;
  /** Items that existed before and were changed, as `kind namespace/name`. */
  updatedItems?: string[];
  /** Items that existed before and are the same. */
  skippedItems?: string[];
  /** Items that are not as in the backup: they existed and differ, or could not be created. */
  failedItems?: string[];
  /** Volumes whose data is not in the backup, or was not restored from it, although nobody excluded it. */
  skippedVolumes?: string[];
  /** Resources that were named and that Velero may not have known. */
  unknownResources?: string[];
  /** Files that are not what Velero wrote, and in what way. */
  unreadableFiles?: string[];
  /** The outputs that could not be collected, and why. */
  missing?: string[];
};
