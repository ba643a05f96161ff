import type { Bucket } from "./s3.ts";

/**
 * A default BackupStorageLocation on the bucket and the Secret with its
 * credentials, for the Velero in `namespace`. `bucket.endpoint` has to be
 * reachable for Velero and for who downloads from it.
 */
export function storageManifests(bucket: Bucket, namespace: string): object[] {
  const credentials = `[default]\naws_access_key_id=${bucket.accessKeyId}\naws_secret_access_key=${bucket.secretAccessKey}\n`;
  return [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "cloud-credentials", namespace },
      stringData: { cloud: credentials },
    },
    {
      apiVersion: "velero.io/v1",
      kind: "BackupStorageLocation",
      metadata: { name: "default", namespace },
      spec: {
        default: true,
        provider: "aws",
        objectStorage: { bucket: bucket.name },
        config: { region: bucket.region, s3ForcePathStyle: "true", s3Url: bucket.endpoint },
        credential: { name: "cloud-credentials", key: "cloud" },
      },
    },
  ];
}
