import type { Backup, DeleteBackupRequest, Restore } from "../../../src/api/velero.ts";

/** Objects as the API server would answer them, for one attempt of one Operation. */

export const OWN_LABELS: Record<string, string> = {
  "app.vworkspace.io/managed-by": "vworkspace-operator",
  "ops.vworkspace.io/operation": "op-uid",
  "ops.vworkspace.io/attempt": "1",
};

const metadata = {
  name: "b1",
  namespace: "velero",
  uid: "own-uid",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels: OWN_LABELS,
};

export function backup(status: Backup["status"] = {}, meta: Partial<Backup["metadata"]> = {}): Backup {
  return {
    apiVersion: "velero.io/v1",
    kind: "Backup",
    metadata: { ...metadata, ...meta },
    spec: { storageLocation: "default" },
    status,
  };
}

export function restore(status: Restore["status"] = {}, meta: Partial<Restore["metadata"]> = {}): Restore {
  return {
    apiVersion: "velero.io/v1",
    kind: "Restore",
    metadata: { ...metadata, name: "r1", ...meta },
    spec: { backupName: "b1" },
    status,
  };
}

export function deleteRequest(
  status: DeleteBackupRequest["status"] = {},
  meta: Partial<DeleteBackupRequest["metadata"]> = {},
): DeleteBackupRequest {
  return {
    apiVersion: "velero.io/v1",
    kind: "DeleteBackupRequest",
    metadata: { ...metadata, name: "b1-x7k2p", uid: "request-uid", ...meta },
    spec: { backupName: "b1" },
    status,
  };
}
