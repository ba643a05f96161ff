import { Label } from "../../api/labels.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Job } from "../../kube/resources.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";

/** The UID of the Operation that an object was made for, by its label. */
export function operationUidOf(object: KubeObject): string | undefined {
  return object.metadata.labels?.[Label.operation];
}

/**
 * Whom a Job works for, as its runner will go by it: the Operation's UID where its environment has one (the dispatcher made
 * it, or it was copied from such a one), else `namespace/name` (made by hand from the template). Terms to index Jobs by.
 */
export function ownersOf(job: Job): readonly string[] {
  const containers = job.spec?.template?.spec?.containers ?? [];
  const env = containers.find(({ name }) => name === RUNNER_CONTAINER)?.env ?? [];
  const value = (wanted: string) => env.find(({ name }) => name === wanted)?.value ?? "";
  const [uid, namespace, name] = [value("OPERATION_UID"), value("OPERATION_NAMESPACE"), value("OPERATION_NAME")];
  if (uid !== "") return [uid];
  if (namespace !== "" && name !== "") return [`${namespace}/${name}`];
  const labelled = operationUidOf(job);
  return labelled === undefined ? [] : [labelled];
}
