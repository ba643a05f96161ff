import { Label } from "../../api/labels.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Job } from "../../kube/resources.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";

/** The UID of the Operation for which an object was made, from its label. */
export function operationUidOf(object: KubeObject): string | undefined {
  return object.metadata.labels?.[Label.operation];
}

/**
 * The Operation for which a Job works, as its runner will read it from the Job's environment: by its UID, if there is one (the
 * dispatcher made the Job, or people copied such a Job), otherwise by `namespace/name` (people made the Job from the template).
 * Jobs are indexed by these terms.
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
