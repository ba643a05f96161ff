import { Label } from "../../api/labels.ts";
import type { KubeObject } from "../../kube/metadata.ts";

const OWNERSHIP = [
  Label.managedBy,
  Label.clusterId,
  Label.operation,
  Label.attempt,
  Label.target,
  Label.applicationInstance,
];

/**
 * The labels that say to which Operation and attempt an object belongs. What the runner creates for that object, such
 * as a DownloadRequest, carries the same labels.
 */
export function ownershipLabels(object: KubeObject): Record<string, string> {
  const { labels = {} } = object.metadata;
  return Object.fromEntries(OWNERSHIP.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}

/**
 * Whether two objects were made for the same attempt of the same Operation. Their uids do not tell: Velero recreates
 * Backups from the object store with the same labels and a new uid.
 */
export function hasSameOwner(object: KubeObject, other: KubeObject): boolean {
  return [Label.managedBy, Label.operation, Label.attempt].every((key) => {
    const value = object.metadata.labels?.[key];
    return value !== undefined && value === other.metadata.labels?.[key];
  });
}
