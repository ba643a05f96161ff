import { type Operation, operationSchema, operations } from "../api/operation.ts";
import type { Resource } from "../kube/resource.ts";

/**
 * Operations as the dispatcher keeps them in memory: without what it never looks at. Each one may carry 256 KiB of
 * outputs, and finished ones stay for as long as their owners like. Only a Succeeded one loses part of its status, because
 * that is never written again (decide.ts).
 */
export const keptOperations: Resource<Operation> = { ...operations, schema: operationSchema.transform(kept) };

function kept({ metadata, status, ...rest }: Operation): Operation {
  // A write without managedFields leaves them as they are.
  const { managedFields: _writers, ...essential } = metadata;
  return {
    ...rest,
    metadata: essential,
    ...(status && { status: status.phase === "Succeeded" ? brief(status) : status }),
  };
}

function brief({ outputs: _outputs, history: _history, ...status }: NonNullable<Operation["status"]>) {
  return status;
}
