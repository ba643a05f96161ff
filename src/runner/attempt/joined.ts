import { attemptOf, type Status, type VeleroOperation } from "../../api/operation.ts";
import type { RunnerSettings } from "../context.ts";

/** The status with this run's Job among those that worked on the attempt. docs/contract.md#joining. */
export function joined(operation: VeleroOperation, job: RunnerSettings["job"]): Status {
  const { runner = {}, ...rest } = operation.status ?? {};
  const { jobUIDs = [] } = runner;
  const isNew = job.uid !== undefined && !jobUIDs.includes(job.uid);
  return {
    ...rest,
    runner: {
      ...(job.name !== undefined && { jobName: job.name, jobNamespace: job.namespace }),
      ...runner,
      attempt: attemptOf(operation),
      jobUIDs: job.uid !== undefined && isNew ? [...jobUIDs, job.uid] : jobUIDs,
    },
  };
}
