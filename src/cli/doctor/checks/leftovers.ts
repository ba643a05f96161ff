import { Label, MANAGED_BY } from "../../../api/labels.ts";
import { isAtWork, type VeleroObject } from "../../../api/velero.ts";
import type { KubeObject } from "../../../kube/metadata.ts";
import { both, type Check, type Finding, judge, ok, problem, warning } from "../finding.ts";

/** A runner removes its own at once; Velero removes them after ten minutes. */
const DOWNLOAD_MS = 15 * 60_000;
/** A drill removes all that it made, unless it is killed. */
const DRILL_MS = 24 * 60 * 60_000;

export const leftovers: Check = (seen) => {
  const { backups, restores, operations, downloadRequests, jobs, now } = seen;
  return judge("leftovers", both(both(backups, restores), both(operations, both(downloadRequests, jobs))), (all) => {
    const [[made, restored], [known, [downloads, work]]] = all;
    const uids = new Set(known.map(({ metadata }) => metadata.uid));
    const isOrphan = ({ metadata: { labels = {} } }: KubeObject) => {
      const uid = labels[Label.operation];
      return labels[Label.managedBy] === MANAGED_BY && uid !== undefined && !uids.has(uid);
    };
    const found: Finding[] = [];
    for (const object of [...made, ...restored] as VeleroObject[]) {
      const name = `${object.kind.toLowerCase()}.velero.io/${object.metadata.name}`;
      if (isOrphan(object) && isAtWork(object)) {
        const remedy = `it ends by itself, or at its ttl; where Velero does nothing with it: kubectl delete ${name} -n ${seen.veleroNamespace}`;
        found.push(warning("leftovers", `${name} is unfinished, and its Operation is gone`, remedy));
      }
      if (
        object.status?.phase === "Failed" &&
        /already exists in object storage/.test(object.status.failureReason ?? "")
      ) {
        const remedy = `kubectl delete ${name} -n ${seen.veleroNamespace} (never velero backup delete)`;
        found.push(
          problem("leftovers", `${name} has the name of an older backup, whose files its end would take`, remedy),
        );
      }
    }
    const old = downloads.filter(
      (request) =>
        request.metadata.labels?.[Label.managedBy] === MANAGED_BY &&
        now.getTime() - Date.parse(request.metadata.creationTimestamp) > DOWNLOAD_MS,
    );
    if (old.length > 0) {
      const remedy =
        "Velero removes them after ten minutes: see whether its server runs; kubectl delete downloadrequest takes them away";
      found.push(warning("leftovers", `${old.length} DownloadRequests of runners are left`, remedy));
    }
    for (const { metadata } of restored) {
      const isOld = now.getTime() - Date.parse(metadata.creationTimestamp) > DRILL_MS;
      if (metadata.labels?.[Label.drill] === undefined || !isOld) continue;
      const { name } = metadata;
      const remedy = `kubectl delete namespace ${name} --ignore-not-found && kubectl delete restores.velero.io ${name} -n ${seen.veleroNamespace}`;
      found.push(warning("leftovers", `the drill ${name} was killed before it could remove what it made`, remedy));
    }
    const idle = work.filter(
      (job) => isOrphan(job) && job.metadata.deletionTimestamp === undefined && (job.status?.active ?? 0) === 0,
    );
    if (idle.length > 0) {
      const names = idle
        .slice(0, 3)
        .map(({ metadata }) => metadata.name)
        .join(", ");
      const remedy = "they go at the end of their ttlSecondsAfterFinished; kubectl delete job takes them away";
      found.push(warning("leftovers", `${idle.length} Jobs of deleted Operations: ${names}`, remedy));
    }
    return found.length > 0 ? found : ok("leftovers", "none");
  });
};
