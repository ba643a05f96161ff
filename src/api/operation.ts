import * as z from "zod";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";

/** The request that a platform's users write, and its status. docs/contract.md#the-operation. */

export const API_GROUP = "ops.vworkspace.io";
export const API_VERSION = "v1alpha1";

/** The types that this program carries out. All others in {@link OPERATION_TYPES} are upstream's and left alone. */
export const SUPPORTED_TYPES = ["Backup", "Restore"] as const;
export const OPERATION_TYPES = [...SUPPORTED_TYPES, "Upgrade", "Migration", "RunCommand", "Runbook"] as const;
export const ENGINE = "velero";
export const ENGINES = [ENGINE, "workflow", "job", "helm", "volsync", "helmHookJob"] as const;
/** `Cancelled` is upstream's; here a cancelled Operation is Failed with Cancelled=True. */
export const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Cancelled"] as const;

export type OperationType = (typeof SUPPORTED_TYPES)[number];
export type Phase = (typeof PHASES)[number];

/** Keys that zod passes on to the CRD unchanged (`src/build/crd.ts`). */
const preserveUnknown = { "x-kubernetes-preserve-unknown-fields": true } as const;

const time = (description: string) => z.string().meta({ format: "date-time", description });
const count = (description: string) => z.int().meta({ format: "int64", minimum: 0, description });

const text = z.string().optional();
const objectReferenceSchema = z.looseObject({
  apiVersion: text,
  kind: text,
  namespace: text,
  name: text,
  uid: text,
  url: text,
});

export const conditionSchema = z.looseObject({
  type: z.string().meta({
    maxLength: 316,
    pattern:
      "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
  }),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().meta({ minLength: 1, maxLength: 1024, pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" }),
  message: z.string().meta({ maxLength: 32768 }),
  lastTransitionTime: time("When the status of this condition last changed."),
  observedGeneration: count("The generation of the Operation on which this was decided.").optional(),
});

const progressSchema = z.looseObject({
  itemsCompleted: count("Items that Velero has backed up or restored so far.").optional(),
  itemsTotal: count("Items that Velero knows of; it may still find more.").optional(),
  bytesCompleted: count("Bytes of volume data moved so far.").optional(),
  bytesTotal: count("Bytes of volume data to move, as far as Velero knows.").optional(),
  percent: z.int().meta({ minimum: 0, maximum: 100, description: "Of the items, or of the bytes." }).optional(),
});

const runnerSchema = z.looseObject({
  jobName: text,
  jobNamespace: text,
  attempt: z.int().meta({ minimum: 1, description: "Counts from 1; a re-run opens the next one." }).optional(),
  jobUIDs: z.array(z.string()).meta({ description: "Every Job that worked on this attempt." }).optional(),
  requestedBy: z
    .array(z.string())
    .meta({ description: "The Jobs that people made to ask for this attempt, by uid; each counts once." })
    .optional(),
  resumedAfter: z
    .string()
    .meta({ description: "The last of the attempt's Jobs when the attempt was resumed; that Job had given up." })
    .optional(),
  troubleSince: time("Since when no runner is at work, as far as the dispatcher knows.").optional(),
  storageLocation: z
    .string()
    .meta({ description: "The BackupStorageLocation that a runner found unavailable: the Operation waits for it." })
    .optional(),
  successors: count(
    "How many Jobs the dispatcher has made because a Job gave up while the attempt had a Velero object.",
  ).optional(),
  cancelResumes: count(
    "How often the dispatcher has made a new Job for a cancel after the runner had given up.",
  ).optional(),
});

const attemptSchema = z.looseObject({
  attempt: z.int().meta({ minimum: 1 }),
  phase: z.string(),
  reason: text,
  message: text,
  jobName: text,
  jobUIDs: z.array(z.string()).meta({ description: "Every Job that worked on it." }).optional(),
  engineRef: objectReferenceSchema.optional(),
  startedAt: time("When the attempt was admitted.").optional(),
  finishedAt: time("When the attempt ended.").optional(),
});

export const statusSchema = z
  .looseObject({
    phase: z.enum(PHASES).meta({ description: "Where the Operation stands; the conditions say why." }).optional(),
    reason: z.string().meta({ description: "The reason of the most important condition." }).optional(),
    startedAt: time("When the Operation was admitted.").optional(),
    finishedAt: time("When the Operation ended.").optional(),
    duration: z.string().meta({ description: "From startedAt to finishedAt, such as 7m13s." }).optional(),
    observedGeneration: z
      .int()
      .meta({
        format: "int64",
        minimum: -1,
        description: "The generation of the Operation that this status is about; -1 before anything was written.",
      })
      .optional(),
    admittedSpec: z
      .string()
      .meta({ description: "The digest of the spec that was admitted; the runner carries out no other spec." })
      .optional(),
    request: z
      .looseObject({
        digest: z.string(),
        at: time("When somebody last asked for it; the policy checked their right then."),
      })
      .meta({ description: "For a Restore from another namespace: the digest of what was last asked for, and when." })
      .optional(),
    observedRerun: z
      .string()
      .meta({ description: "The token of the annotation ops.vworkspace.io/rerun that was acted on last." })
      .optional(),
    conditions: z
      .array(conditionSchema)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
      .optional(),
    progress: progressSchema.meta({ description: "How far Velero is, by its own account." }).optional(),
    engineRef: objectReferenceSchema
      .meta({ description: "The Velero Backup or Restore. Without uid, the runner is about to create it." })
      .optional(),
    runner: runnerSchema.meta({ description: "The Job that carries the Operation out." }).optional(),
    backupRef: objectReferenceSchema
      .meta({ description: "The Velero Backup that a Restore restores, chosen before the Restore is created." })
      .optional(),
    logsRef: objectReferenceSchema.meta({ description: "Where the logs are: kubectl logs job/<name>." }).optional(),
    outputs: z
      .record(z.string(), z.unknown())
      .meta({
        description: "What the Operation hands to its reader: names, counts, sizes, warnings.",
        ...preserveUnknown,
      })
      .optional(),
    history: z.array(attemptSchema).meta({ description: "The last 20 earlier attempts, oldest first." }).optional(),
    historyOmitted: z
      .looseObject({
        attempts: count("How many attempts came before those in history."),
        jobUIDs: z.array(z.string()).meta({ description: "The last 100 Jobs that worked on them." }).optional(),
      })
      .meta({ description: "The attempts before those in history." })
      .optional(),
  })
  .meta({ description: "What has become of the request." });

/** The longest text that the CRD takes in spec, in characters: longer than any name or duration. */
export const MAX_TEXT = 1024;
/** No valid approval token is longer (dispatcher/admission/approvalToken.ts). */
export const MAX_CLAIM = 8 * 1024;

const shortText = z.string().meta({ maxLength: MAX_TEXT });

/** Taken as it is: a schema that copied it would drop a key such as `__proto__` before any check could reject it. */
const asWritten = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);

export const specSchema = z
  .looseObject({
    targetRef: z
      .looseObject({ apiVersion: shortText, kind: shortText, name: shortText })
      .meta({ description: "The ApplicationInstance, in the Operation's own namespace." }),
    type: z.enum(OPERATION_TYPES).meta({ description: "What to do. operation-runner carries out Backup and Restore." }),
    engine: z.enum(ENGINES).meta({ description: "The engine that does it. operation-runner supports velero." }),
    parameters: asWritten.optional(),
    approvals: z
      .looseObject({
        required: z.boolean().optional(),
        claim: z.string().meta({ maxLength: MAX_CLAIM }).optional(),
        approvedBy: shortText.optional(),
        approvedAt: shortText.optional(),
      })
      .meta({ description: "Whether somebody must approve it first, and the signed approval token." })
      .optional(),
  })
  .meta({ description: "The request. Immutable but for approvals." });

export const operationSchema = kubeObjectSchema.extend({
  spec: specSchema.optional(),
  status: statusSchema.optional(),
});

export type Operation = z.infer<typeof operationSchema>;
export type Spec = z.infer<typeof specSchema>;
export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
export type Runner = z.infer<typeof runnerSchema>;
export type Progress = z.infer<typeof progressSchema>;
export type EngineRef = z.infer<typeof objectReferenceSchema>;

/** An Operation that this program carries out: a Backup or Restore by Velero. */
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

/** Succeeded and Failed (and upstream's Cancelled): only a new or resumed attempt leaves these phases. */
export function isTerminal(phase: Phase | undefined): boolean {
  return phase === "Succeeded" || phase === "Failed" || phase === "Cancelled";
}

/** The uids of the Jobs that worked on an attempt, or that people made for it. */
export function jobsOfAttempt({ jobUIDs = [], requestedBy = [] }: Partial<Runner> = {}): string[] {
  return [...new Set([...jobUIDs, ...requestedBy])];
}

/** The uids of the Jobs that worked on earlier attempts, or that people made for them. */
export function pastJobs({ history = [], historyOmitted }: Partial<Status> = {}): string[] {
  return [...(historyOmitted?.jobUIDs ?? []), ...history.flatMap(({ jobUIDs = [] }) => jobUIDs)];
}

/** The attempt that is under way, or that ended last; 1 before anything was written. */
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
  // One Operation can have up to 256 KiB of outputs.
  pageSize: 50,
};
