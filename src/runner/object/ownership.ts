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

/** The labels by which an object tells whose it is: what is made on its behalf carries the same. */
export function ownershipLabels(object: KubeObject): Record<string, string> {
  const { labels = {} } = object.metadata;
  return Object.fromEntries(OWNERSHIP.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}

/**
 * Whether an object was made by the same attempt of the same Operation as another. The uid does not tell: Velero makes
 * Backups anew from the object store, with their labels and another uid.
 */
export function hasSameOwner(object: KubeObject, other: KubeObject): boolean {
  return [Label.managedBy, Label.operation, Label.attempt].every((key) => {
    const value = object.metadata.labels?.[key];
    return value !== undefined && value === other.metadata.labels?.[key];
  });
}
