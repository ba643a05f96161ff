import { Label } from "../api/labels.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { Job } from "../kube/resources.ts";
import { RUNNER_CONTAINER } from "./job.ts";

/** The UID of the Operation that an object was made for, by its label. */
export function operationUidOf(object: KubeObject): string | undefined {
  return object.metadata.labels?.[Label.operation];
}

/**
 * Whom a Job works for: the Operation's UID where it has the label (the dispatcher made it), else `namespace/name` from the
 * environment of its runner (made by hand from the template). Terms to index Jobs by.
 */
export function ownersOf(job: Job): readonly string[] {
  const uid = operationUidOf(job);
  if (uid !== undefined) return [uid];
  const containers = job.spec?.template?.spec?.containers ?? [];
  const env = containers.find(({ name }) => name === RUNNER_CONTAINER)?.env ?? [];
  const value = (wanted: string) => env.find(({ name }) => name === wanted)?.value ?? "";
  const namespace = value("OPERATION_NAMESPACE");
  const name = value("OPERATION_NAME");
  return namespace === "" || name === "" ? [] : [`${namespace}/${name}`];
}
