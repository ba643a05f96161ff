import { DRIVER } from "./driver.ts";

/** Storage as an administrator would set it up for the driver, made by hand because nothing provisions here. */

const STORAGE_CLASS = "double";

/** How Velero would choose if nobody named a class: the one that carries this label. */
const VELERO_CHOICE = { "velero.io/csi-volumesnapshot-class": "true" };

/** The StorageClass of the driver. */
export const storageClass = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: STORAGE_CLASS },
  provisioner: DRIVER,
};

/** A VolumeSnapshotClass of the driver; its name reaches the driver as the parameter `class`. */
export function snapshotClass(name: string, { byDefault = false }: { byDefault?: boolean } = {}): object {
  return {
    apiVersion: "snapshot.storage.k8s.io/v1",
    kind: "VolumeSnapshotClass",
    metadata: { name, ...(byDefault && { labels: VELERO_CHOICE }) },
    driver: DRIVER,
    deletionPolicy: "Delete",
    parameters: { class: name },
  };
}

/** A claim in `namespace` with a volume of the driver. */
export function csiVolume(namespace: string, name: string): object[] {
  return boundVolume(namespace, name, STORAGE_CLASS, {
    csi: { driver: DRIVER, volumeHandle: `${namespace}-${name}` },
  });
}

/** A claim in `namespace` with a volume of which nothing here can take a snapshot. */
export function nfsVolume(namespace: string, name: string): object[] {
  return boundVolume(namespace, name, "", { nfs: { server: "nfs.invalid", path: "/" } });
}

function boundVolume(namespace: string, name: string, storageClassName: string, source: object): object[] {
  const volumeName = `${namespace}-${name}`;
  const accessModes = ["ReadWriteOnce"];
  const storage = "10Gi";
  return [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: volumeName },
      spec: {
        ...source,
        capacity: { storage },
        accessModes,
        storageClassName,
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { namespace, name },
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name, namespace },
      spec: { accessModes, resources: { requests: { storage } }, storageClassName, volumeName },
    },
  ];
}
