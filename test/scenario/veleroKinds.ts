import {
  backups,
  dataDownloads,
  dataUploads,
  deleteBackupRequests,
  downloadRequests,
  podVolumeBackups,
  podVolumeRestores,
  restores,
  storageLocations,
} from "../../src/api/velero.ts";
import type { Resource } from "../../src/kube/resource.ts";

/** Every kind of Velero's that our programs read or write. */
export const VELERO_KINDS: readonly Resource[] = [
  backups,
  restores,
  storageLocations,
  downloadRequests,
  deleteBackupRequests,
  podVolumeBackups,
  podVolumeRestores,
  dataUploads,
  dataDownloads,
];
