import { Label } from "../../api/labels.ts";
import { backups, isAtWork, type Restore, type VeleroObject } from "../../api/velero.ts";
import { jobHasEnded } from "../../kube/jobStatus.ts";
import type { Job } from "../../kube/resources.ts";
import type { OrphanedWork } from "../line/namespaceLine.ts";
import { COMPONENT_LABEL, componentOf } from "../templates/buildJob.ts";

type Scope = Pick<NonNullable<Restore["spec"]>, "includedNamespaces" | "namespaceMapping">;

/** The namespaces that Velero reads or writes for this object now; none once it is terminal. */
export function veleroNamespaces(object: VeleroObject): readonly string[] {
  if (!isAtWork(object)) return [];
  const { includedNamespaces, namespaceMapping }: Scope = object.spec ?? {};
  return [...new Set((includedNamespaces ?? []).map((from) => namespaceMapping?.[from] ?? from))];
}

export function orphanedObject({ kind, metadata }: VeleroObject): OrphanedWork {
  return { isBackup: kind === backups.kind, what: `${kind} ${metadata.namespace}/${metadata.name}` };
}

/** The namespace for which this Job of the dispatcher's may be at work; none if it has ended or was made by hand. */
export function jobNamespaces(job: Job): readonly string[] {
  const { [Label.operation]: uid, [Label.operationNamespace]: namespace } = job.metadata.labels ?? {};
  return uid === undefined || namespace === undefined || jobHasEnded(job) ? [] : [namespace];
}

export function orphanedJob({ metadata: { namespace, name, labels } }: Job): OrphanedWork {
  return { isBackup: labels?.[COMPONENT_LABEL] === componentOf("Backup"), what: `Job ${namespace}/${name}` };
}
