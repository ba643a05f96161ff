import type { Status, VeleroOperation } from "../../../src/api/operation.ts";

/** An Operation as the API server would answer it. */
export function operation(
  type: "Backup" | "Restore",
  {
    parameters,
    status,
    labels,
    target = "shop",
  }: { parameters?: Record<string, unknown>; status?: Status; labels?: Record<string, string>; target?: string } = {},
): VeleroOperation {
  return {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: {
      name: "b1",
      namespace: "org-a",
      uid: "3f0c3b1e-0000-4000-8000-000000000001",
      resourceVersion: "7",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(labels && { labels }),
    },
    spec: {
      type,
      engine: "velero",
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: target },
      ...(parameters && { parameters }),
    },
    ...(status && { status }),
  };
}
