import { z } from "zod";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";

/** The request that a platform's users write, and its status. docs/contract.md, API. */

export const API_GROUP = "ops.vworkspace.io";
export const API_VERSION = "v1alpha1";

/** What this program carries out. Everything else in {@link OPERATION_TYPES} is upstream's and left alone. */
export const SUPPORTED_TYPES = ["Backup", "Restore"] as const;
export const OPERATION_TYPES = [...SUPPORTED_TYPES, "Upgrade", "Migration", "RunCommand", "Runbook"] as const;
export const ENGINE = "velero";
export const ENGINES = [ENGINE, "workflow", "job", "helm", "volsync", "helmHookJob"] as const;
/** `Cancelled` is upstream's; here a cancelled Operation is Failed with Cancelled=True. */
export const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Cancelled"] as const;

export type OperationType = (typeof SUPPORTED_TYPES)[number];
export type Phase = (typeof PHASES)[number];

const objectReferenceSchema = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  namespace: z.string().optional(),
  name: z.string().optional(),
  uid: z.string().optional(),
});

export const conditionSchema = z.looseObject({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.number().optional(),
});

const progressSchema = z.looseObject({
  itemsCompleted: z.number().optional(),
  itemsTotal: z.number().optional(),
  bytesCompleted: z.number().optional(),
  bytesTotal: z.number().optional(),
  percent: z.number().optional(),
});

const runnerSchema = z.looseObject({
  jobName: z.string().optional(),
  jobNamespace: z.string().optional(),
  attempt: z.number().optional(),
  jobUIDs: z.array(z.string()).optional(),
});

const attemptSchema = z.looseObject({
  attempt: z.number(),
  phase: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  jobName: z.string().optional(),
  engineRef: objectReferenceSchema.optional(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
});

export const statusSchema = z.looseObject({
  phase: z.enum(PHASES).optional(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
  observedGeneration: z.number().optional(),
  observedRerun: z.string().optional(),
  conditions: z.array(conditionSchema).optional(),
  progress: progressSchema.optional(),
  engineRef: objectReferenceSchema.optional(),
  runner: runnerSchema.optional(),
  logsRef: objectReferenceSchema.optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  history: z.array(attemptSchema).optional(),
});

export const specSchema = z.looseObject({
  targetRef: z.looseObject({ apiVersion: z.string(), kind: z.string(), name: z.string() }),
  type: z.enum(OPERATION_TYPES),
  engine: z.enum(ENGINES),
  parameters: z.record(z.string(), z.unknown()).optional(),
  approvals: z
    .looseObject({
      required: z.boolean().optional(),
      claim: z.string().optional(),
      approvedBy: z.string().optional(),
      approvedAt: z.string().optional(),
    })
    .optional(),
});

export const operationSchema = kubeObjectSchema.extend({
  spec: specSchema.optional(),
  status: statusSchema.optional(),
});

export type Operation = z.infer<typeof operationSchema>;
export type Spec = z.infer<typeof specSchema>;
export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
export type Progress = z.infer<typeof progressSchema>;
export type EngineRef = z.infer<typeof objectReferenceSchema>;
export type AttemptRecord = z.infer<typeof attemptSchema>;

/** An Operation that is ours to carry out. */
export type VeleroOperation = Operation & {
  metadata: Operation["metadata"] & { namespace: string };
  spec: Spec & { type: OperationType; engine: typeof ENGINE };
};

/** Backup or Restore with engine velero. Anything else is left alone, its status untouched. */
export function isVeleroOperation(operation: Operation): operation is VeleroOperation {
  const type = operation.spec?.type;
  return (
    operation.metadata.namespace !== undefined &&
    operation.spec?.engine === ENGINE &&
    SUPPORTED_TYPES.some((supported) => supported === type)
  );
}

/** Succeeded and Failed (and upstream's Cancelled): left only by a new attempt. */
export function isTerminal(phase: Phase | undefined): boolean {
  return phase === "Succeeded" || phase === "Failed" || phase === "Cancelled";
}

/** The attempt that is under way, or ended last; the first before anything was written. */
export function attemptOf(operation: Operation): number {
  return operation.status?.runner?.attempt ?? 1;
}

export const operations: Resource<Operation> = {
  group: API_GROUP,
  version: API_VERSION,
  plural: "operations",
  kind: "Operation",
  namespaced: true,
  schema: operationSchema,
};
