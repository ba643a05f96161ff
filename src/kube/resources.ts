import * as z from "zod";
import { lenient, lenientList, lenientNumber, lenientText } from "./lenient.ts";
import { kubeObjectSchema } from "./metadata.ts";
import type { Resource } from "./resource.ts";

// Kubernetes' own kinds: every field that this project reads, and no other. All are read leniently, so that an object
// that exists never counts as missing. The dispatcher keeps nothing else in memory (dispatcher/kept.ts). Each is built
// when the first such object is read (z.lazy): a runner reads few kinds, and there is a new process for each run.

/** One condition of an object that somebody else writes. */
export const conditionSchema = z.looseObject({
  type: lenientText,
  status: lenientText,
  reason: lenientText,
  message: lenientText,
  observedGeneration: lenientNumber,
  lastTransitionTime: lenientText,
});

/** An unreadable number counts as 1, so that no Job is deleted because of it. */
const podCount = z.number().optional().catch(1);

const containerSchema = z.lazy(() =>
  z.looseObject({
    name: lenientText,
    env: lenientList(z.looseObject({ name: lenientText, value: lenientText })),
  }),
);

/** Who created or changed an object, as the API server recorded it; what they changed is left out. */
const managerSchema = z.lazy(() =>
  z.object({
    manager: lenientText,
    operation: lenientText,
    subresource: lenientText,
    time: lenientText,
  }),
);

const jobSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    metadata: kubeObjectSchema.shape.metadata.extend({ managedFields: lenientList(managerSchema) }),
    spec: lenient(
      z.looseObject({
        backoffLimit: lenientNumber,
        suspend: lenient(z.boolean()),
        ttlSecondsAfterFinished: lenientNumber,
        template: lenient(
          z.looseObject({ spec: lenient(z.looseObject({ containers: lenientList(containerSchema) })) }),
        ),
      }),
    ),
    status: z
      .looseObject({
        conditions: lenientList(conditionSchema),
        active: podCount,
        succeeded: podCount,
        failed: podCount,
        terminating: podCount,
      })
      .optional()
      .catch({ failed: 1 }),
  }),
);

const deploymentSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ template: lenient(z.looseObject({ spec: lenient(serverPodSchema) })) })),
  }),
);

/** The command lines of a Deployment's pods. */
const serverPodSchema = z.lazy(() =>
  z.looseObject({
    containers: lenientList(
      z.looseObject({
        name: lenientText,
        command: lenientList(z.string()),
        args: lenientList(z.string()),
      }),
    ),
  }),
);

const containerStateSchema = z.lazy(() =>
  z.looseObject({
    waiting: lenient(z.looseObject({ reason: lenientText, message: lenientText })),
    running: lenient(z.looseObject({})),
    terminated: lenient(
      z.looseObject({
        exitCode: lenientNumber,
        reason: lenientText,
        message: lenientText,
        finishedAt: lenientText,
      }),
    ),
  }),
);

const containerStatusSchema = z.lazy(() =>
  z.looseObject({
    name: lenientText,
    state: lenient(containerStateSchema),
    lastState: lenient(containerStateSchema),
  }),
);

const podSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(z.looseObject({ nodeName: lenientText })),
    status: lenient(
      z.looseObject({
        phase: lenientText,
        reason: lenientText,
        message: lenientText,
        startTime: lenientText,
        conditions: lenientList(conditionSchema),
        initContainerStatuses: lenientList(containerStatusSchema),
        containerStatuses: lenientList(containerStatusSchema),
      }),
    ),
  }),
);

const configMapSchema = z.lazy(() => kubeObjectSchema.extend({ data: lenient(z.record(z.string(), lenientText)) }));

const leaseSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: z
      .looseObject({
        holderIdentity: z.string().nullish(),
        leaseDurationSeconds: z.number().nullish(),
        acquireTime: z.string().nullish(),
        renewTime: z.string().nullish(),
        leaseTransitions: z.number().nullish(),
      })
      .optional(),
  }),
);

const eventSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    reason: lenientText,
    message: lenientText,
    type: lenientText,
    involvedObject: lenient(z.looseObject({ namespace: lenientText, name: lenientText, uid: lenientText })),
    /** When it happened last. An Event written by the newer API may leave this empty. */
    lastTimestamp: lenientText,
  }),
);

const volumeSnapshotClassSchema = z.lazy(() => kubeObjectSchema.extend({ driver: lenientText }));

const bindingSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({ validationActions: lenientList(z.string()), matchResources: lenient(z.looseObject({})) }),
    ),
  }),
);

const validationsSchema = z.looseObject({
  "x-kubernetes-validations": lenientList(z.looseObject({ rule: lenientText })),
});

const crdSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        versions: lenientList(
          z.looseObject({
            name: lenientText,
            schema: lenient(
              z.looseObject({
                openAPIV3Schema: lenient(
                  validationsSchema.extend({
                    properties: lenient(z.looseObject({ spec: lenient(validationsSchema) })),
                  }),
                ),
              }),
            ),
          }),
        ),
      }),
    ),
    status: lenient(z.looseObject({ conditions: lenientList(conditionSchema) })),
  }),
);

export type Job = z.infer<typeof jobSchema>;
export type Deployment = z.infer<typeof deploymentSchema>;
export type Pod = z.infer<typeof podSchema>;
export type ContainerStatus = z.infer<typeof containerStatusSchema>;
export type ConfigMap = z.infer<typeof configMapSchema>;
export type Event = z.infer<typeof eventSchema>;
export type Lease = z.infer<typeof leaseSchema>;
export type CustomResourceDefinition = z.infer<typeof crdSchema>;
export type ValidatingAdmissionPolicyBinding = z.infer<typeof bindingSchema>;
export type VolumeSnapshotClass = z.infer<typeof volumeSnapshotClassSchema>;

export const deployments: Resource<Deployment> = {
  group: "apps",
  version: "v1",
  plural: "deployments",
  kind: "Deployment",
  namespaced: true,
  schema: deploymentSchema,
};

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

export const customResourceDefinitions: Resource<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
  schema: crdSchema,
};

export const validatingAdmissionPolicies: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingadmissionpolicies",
  kind: "ValidatingAdmissionPolicy",
  namespaced: false,
  schema: kubeObjectSchema,
};

export const validatingAdmissionPolicyBindings: Resource<ValidatingAdmissionPolicyBinding> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingadmissionpolicybindings",
  kind: "ValidatingAdmissionPolicyBinding",
  namespaced: false,
  schema: bindingSchema,
};
