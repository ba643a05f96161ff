import * as z from "zod";
import { kubeObjectSchema } from "./metadata.ts";
import type { Resource } from "./resource.ts";

// Kubernetes' own kinds, each as far as this project looks at them. What is not named here is kept, unseen.

const conditionSchema = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().optional(),
});

const jobSchema = kubeObjectSchema.extend({
  spec: z.looseObject({ backoffLimit: z.number().optional(), suspend: z.boolean().optional() }),
  status: z
    .looseObject({
      conditions: z.array(conditionSchema).optional(),
      startTime: z.string().optional(),
      completionTime: z.string().optional(),
      active: z.number().optional(),
      ready: z.number().optional(),
      succeeded: z.number().optional(),
      failed: z.number().optional(),
      terminating: z.number().optional(),
    })
    .optional(),
});

const containerStateSchema = z.looseObject({
  waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  running: z.looseObject({ startedAt: z.string().optional() }).optional(),
  terminated: z
    .looseObject({
      exitCode: z.number(),
      signal: z.number().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      startedAt: z.string().nullish(),
      finishedAt: z.string().nullish(),
    })
    .optional(),
});

const containerStatusSchema = z.looseObject({
  name: z.string(),
  restartCount: z.number().optional(),
  state: containerStateSchema.optional(),
  lastState: containerStateSchema.optional(),
});

const podSchema = kubeObjectSchema.extend({
  status: z
    .looseObject({
      phase: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      startTime: z.string().optional(),
      conditions: z.array(conditionSchema).optional(),
      initContainerStatuses: z.array(containerStatusSchema).optional(),
      containerStatuses: z.array(containerStatusSchema).optional(),
    })
    .optional(),
});

const configMapSchema = kubeObjectSchema.extend({ data: z.record(z.string(), z.string()).optional() });

const leaseSchema = kubeObjectSchema.extend({
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .optional(),
});

const eventSchema = kubeObjectSchema.extend({
  reason: z.string().optional(),
  message: z.string().optional(),
  type: z.string().optional(),
  involvedObject: z.looseObject({
    kind: z.string().optional(),
    namespace: z.string().optional(),
    name: z.string().optional(),
    uid: z.string().optional(),
  }),
  /** When it happened last. One that is written by the newer API may leave it empty. */
  lastTimestamp: z.string().nullish(),
});

const volumeSnapshotClassSchema = kubeObjectSchema.extend({ driver: z.string() });

const crdSchema = kubeObjectSchema.extend({
  status: z.looseObject({ conditions: z.array(conditionSchema).nullish() }).optional(),
});

export type Job = z.infer<typeof jobSchema>;
export type Pod = z.infer<typeof podSchema>;
export type ContainerStatus = z.infer<typeof containerStatusSchema>;
export type ConfigMap = z.infer<typeof configMapSchema>;
export type Event = z.infer<typeof eventSchema>;
export type Lease = z.infer<typeof leaseSchema>;
export type VolumeSnapshotClass = z.infer<typeof volumeSnapshotClassSchema>;

export const jobs: Resource<Job> = {
  group: "batch",
  version: "v1",
  plural: "jobs",
  kind: "Job",
  namespaced: true,
  schema: jobSchema,
};

export const pods: Resource<Pod> = {
  group: "",
  version: "v1",
  plural: "pods",
  kind: "Pod",
  namespaced: true,
  schema: podSchema,
};

export const configMaps: Resource<ConfigMap> = {
  group: "",
  version: "v1",
  plural: "configmaps",
  kind: "ConfigMap",
  namespaced: true,
  schema: configMapSchema,
};

export const namespaces: Resource = {
  group: "",
  version: "v1",
  plural: "namespaces",
  kind: "Namespace",
  namespaced: false,
  schema: kubeObjectSchema,
};

export const leases: Resource<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  kind: "Lease",
  namespaced: true,
  schema: leaseSchema,
};

export const events: Resource<Event> = {
  group: "",
  version: "v1",
  plural: "events",
  kind: "Event",
  namespaced: true,
  schema: eventSchema,
};

export const volumeSnapshotClasses: Resource<VolumeSnapshotClass> = {
  group: "snapshot.storage.k8s.io",
  version: "v1",
  plural: "volumesnapshotclasses",
  kind: "VolumeSnapshotClass",
  namespaced: false,
  schema: volumeSnapshotClassSchema,
};

export const customResourceDefinitions: Resource<z.infer<typeof crdSchema>> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
  schema: crdSchema,
};
