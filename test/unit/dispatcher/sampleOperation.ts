import { isVeleroOperation, operationSchema, type VeleroOperation } from "../../../src/api/operation.ts";

/** A Backup Operation as the API server would hand it out; `change` is laid over it. */
export function backupOperation(
  change: { name?: string; target?: string; type?: "Backup" | "Restore" } = {},
): VeleroOperation {
  const { name = "nightly", target = "shop", type = "Backup" } = change;
  const operation = operationSchema.parse({
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: {
      name,
      namespace: "org-a",
      uid: "0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11",
      resourceVersion: "7",
      generation: 1,
      creationTimestamp: "2026-11-22T10:00:00Z",
    },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: target },
      type,
      engine: "velero",
    },
  });
  if (!isVeleroOperation(operation)) throw new Error("the sample must be an Operation of ours");
  return operation;
}
