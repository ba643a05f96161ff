import { Label } from "./labels.ts";
import { jobName } from "./names.ts";
import { attemptOf, type VeleroOperation } from "./operation.ts";

/**
 * Whether an Operation came out of a backup, and must not be replayed. docs/contract.md#restored-copy. The label alone
 * does not tell: Velero also sets it on an Operation that existed already and was only updated, and anybody may set it.
 * So an Operation whose status names a Job of its own is no copy: names of Jobs are made of the UID, and a copy has a
 * new UID.
 */
export function isRestoredCopy(operation: VeleroOperation): boolean {
  const { metadata, status } = operation;
  if (metadata.labels?.[Label.veleroRestoreName] === undefined) return false;
  const attempt = attemptOf(operation);
  const jobs = [
    { attempt, jobName: status?.runner?.jobName },
    // If a Job that people made has replaced the dispatcher's in status.runner.
    { attempt, jobName: status?.logsRef?.name },
    ...(status?.history ?? []),
  ];
  return !jobs.some((job) => job.jobName === jobName(metadata, job.attempt));
}
