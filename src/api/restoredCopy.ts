import { Label } from "./labels.ts";
import { jobName } from "./names.ts";
import { attemptOf, type VeleroOperation } from "./operation.ts";

/**
 * Whether an Operation came out of a backup, and must not be replayed.
 * docs/contract.md#restored-copy. Velero labels what it
 * restores, but also what was there already and is only updated; and anybody may set a label. So what has run under its
 * UID is no copy: a copy has a UID of its own, and the names of Jobs in a status that came along are not made of that.
 */
export function isRestoredCopy(operation: VeleroOperation): boolean {
  const { metadata, status } = operation;
  if (metadata.labels?.[Label.veleroRestoreName] === undefined) return false;
  const attempt = attemptOf(operation);
  const jobs = [
    { attempt, jobName: status?.runner?.jobName },
    // Where a person's Job has taken the place of the dispatcher's.
    { attempt, jobName: status?.logsRef?.name },
    ...(status?.history ?? []),
  ];
  return !jobs.some((job) => job.jobName === jobName(metadata, job.attempt));
}
