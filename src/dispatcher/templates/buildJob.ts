import * as z from "zod";
import { EXIT } from "../../api/exitCodes.ts";
import { Label, MANAGED_BY } from "../../api/labels.ts";
import { jobName, labelValue } from "../../api/names.ts";
import type { OperationType, VeleroOperation } from "../../api/operation.ts";
import type { Manifest } from "../../kube/metadata.ts";
import type { Settings } from "../settings.ts";

/** The one container whose exit code counts; the podFailurePolicy names it. */
export const RUNNER_CONTAINER = "runner";

/** The service account of the Jobs of each type. It has only the rights in Velero's namespace that its type needs. */
const SERVICE_ACCOUNT: Record<OperationType, string> = {
  Backup: "operation-backup-runner",
  Restore: "operation-restore-runner",
};

/** The dispatcher's field manager. The API server records it in the managedFields of all that the dispatcher writes. */
export const FIELD_MANAGER = "operation-dispatcher";

export const COMPONENT_LABEL = "app.kubernetes.io/component";

/** The {@link COMPONENT_LABEL} of a Job. It tells the type of the Operation even after that is gone. */
export function componentOf(type: OperationType): string {
  return `${type.toLowerCase()}-runner`;
}

const DEFAULT_BACKOFF_LIMIT = 3;
const DAY_SECONDS = 86_400;
/** A Job must outlive a restart of the dispatcher: if its TTL removed it unseen, the dispatcher would make it again. */
const MIN_TTL_SECONDS = 300;

const strings = z.record(z.string(), z.string());
const metadataSchema = z.looseObject({ labels: strings.optional(), annotations: strings.optional() });
const containerSchema = z.looseObject({
  name: z.string().min(1),
  image: z.string().min(1, "must name an image"),
  env: z.array(z.looseObject({ name: z.string().min(1), value: z.string().optional() })).optional(),
  securityContext: z.looseObject({}).optional(),
});
const onePod = z.literal(1, "must be 1 or left out: one pod carries out an Operation").optional();
const leftOut = z.undefined("must be left out: the Job controller sets it").optional();

/** An admin's Job template: the fields that the dispatcher reads or sets. The API server validates the rest. */
export const jobTemplateSchema = z.looseObject({
  apiVersion: z.literal("batch/v1", 'must be "batch/v1"'),
  kind: z.literal("Job", 'must be "Job"'),
  metadata: metadataSchema.default({}),
  spec: z.looseObject({
    backoffLimit: z.number().int().min(0).max(20).default(DEFAULT_BACKOFF_LIMIT),
    ttlSecondsAfterFinished: z
      .number()
      .int()
      .min(
        MIN_TTL_SECONDS,
        `must be ${MIN_TTL_SECONDS} or more: the dispatcher must see that a Job has ended before Kubernetes removes it`,
      )
      .default(DAY_SECONDS),
    parallelism: onePod,
    completions: onePod,
    selector: leftOut,
    manualSelector: leftOut,
    template: z.looseObject({
      metadata: metadataSchema.default({}),
      spec: z.looseObject({
        containers: z
          .array(containerSchema)
          .refine(
            (containers) => containers.some(({ name }) => name === RUNNER_CONTAINER),
            `must have a container named "${RUNNER_CONTAINER}"`,
          ),
        initContainers: z.array(containerSchema).optional(),
        securityContext: z.looseObject({}).optional(),
      }),
    }),
  }),
});

export type JobTemplate = z.infer<typeof jobTemplateSchema>;
type Container = z.infer<typeof containerSchema>;

/** A template, or what is wrong with it: the file, the field, and what is allowed. */
export type TemplateState =
  | { readonly ok: true; readonly template: JobTemplate }
  | { readonly ok: false; readonly problem: string };

export type JobTemplates = Readonly<Record<OperationType, TemplateState>>;

/**
 * Builds the Job of one attempt of an Operation from the admin's template. The dispatcher sets everything again that names the
 * Operation, limits what the Job may do, or decides how it ends.
 * docs/contract.md#templates.
 *
 * @param attempt counts from 1
 * @returns a manifest in `settings.jobNamespace`, equal for equal arguments
 */
export function buildJob(
  operation: VeleroOperation,
  template: JobTemplate,
  settings: Settings,
  attempt: number,
): Manifest {
  const { metadata, spec } = template;
  const { metadata: podMetadata, spec: podSpec } = spec.template;
  const labels = jobLabels(operation, settings, attempt);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: jobName({ name: operation.metadata.name, uid: operation.metadata.uid }, attempt),
      namespace: settings.jobNamespace,
      labels: { ...metadata.labels, ...labels },
      ...(metadata.annotations && { annotations: metadata.annotations }),
    },
    spec: {
      ...spec,
      // A terminating pod may still write, so its replacement must not start before it has ended.
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          // The runner did not fail if its pod was evicted or its node drained, so that costs no retry.
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          { action: "FailJob", onExitCodes: { containerName: RUNNER_CONTAINER, operator: "In", values: [EXIT.final] } },
        ],
      },
      template: {
        ...spec.template,
        metadata: { ...podMetadata, labels: { ...podMetadata.labels, ...labels } },
        spec: {
          ...podSpec,
          restartPolicy: "Never",
          serviceAccountName: SERVICE_ACCOUNT[operation.spec.type],
          automountServiceAccountToken: true,
          securityContext: {
            ...podSpec.securityContext,
            runAsNonRoot: true,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: podSpec.containers.map((container) =>
            restricted(container.name === RUNNER_CONTAINER ? identified(container, operation, settings) : container),
          ),
          ...(podSpec.initContainers && { initContainers: podSpec.initContainers.map(restricted) }),
        },
      },
    },
  };
}

function jobLabels(operation: VeleroOperation, settings: Settings, attempt: number): Record<string, string> {
  const { name, namespace, uid } = operation.metadata;
  const target = tenantLabel(operation.spec.targetRef.name);
  return {
    "app.kubernetes.io/name": "operation-runner",
    [COMPONENT_LABEL]: componentOf(operation.spec.type),
    "app.kubernetes.io/part-of": "operation-runner",
    "app.kubernetes.io/managed-by": "operation-dispatcher",
    [Label.managedBy]: MANAGED_BY,
    ...(settings.clusterId !== "" && { [Label.clusterId]: settings.clusterId }),
    [Label.operation]: uid,
    [Label.operationNamespace]: namespace,
    [Label.operationName]: labelValue(name),
    [Label.attempt]: String(attempt),
    ...(target !== undefined && { [Label.target]: target, [Label.applicationInstance]: target }),
  };
}

/** @returns undefined if a tenant's name is no valid label value: the Job then lacks the label instead of being refused */
function tenantLabel(name: string): string | undefined {
  const value = labelValue(name);
  return /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value) ? value : undefined;
}

/** The settings that a runner of that type needs, as its environment variables (src/runner/settings.ts). */
export function runnerSettings(type: OperationType, settings: Settings): Record<string, string> {
  return {
    VELERO_NAMESPACE: settings.veleroNamespace,
    CLUSTER_ID: settings.clusterId,
    HIDE_VELERO_MESSAGES: String(settings.hideVeleroMessages),
    MAX_RUN_TIME: settings.limits.maxRunTime,
    ...(type === "Restore" && {
      RESTORE_EXCLUDED_RESOURCES: JSON.stringify(settings.restore.excludedResources),
      REQUEST_WINDOW: settings.requestWindow,
    }),
  };
}

/** Adds the variables that name the runner's Operation; the admin's other variables follow them. */
function identified(container: Container, operation: VeleroOperation, settings: Settings): Container {
  const identity = [
    { name: "OPERATION_NAMESPACE", value: operation.metadata.namespace },
    { name: "OPERATION_NAME", value: operation.metadata.name },
    { name: "OPERATION_UID", value: operation.metadata.uid },
    ...Object.entries(runnerSettings(operation.spec.type, settings)).map(([name, value]) => ({ name, value })),
    // The Job controller puts both labels on every pod.
    { name: "JOB_NAME", ...fromField(`metadata.labels['${Label.jobName}']`) },
    { name: "JOB_UID", ...fromField(`metadata.labels['${Label.jobUid}']`) },
    { name: "POD_NAME", ...fromField("metadata.name") },
    { name: "POD_NAMESPACE", ...fromField("metadata.namespace") },
  ];
  const taken = new Set(identity.map(({ name }) => name));
  const others = (container.env ?? []).filter(({ name }) => !taken.has(name));
  const level = others.some(({ name }) => name === "LOG_LEVEL")
    ? []
    : [{ name: "LOG_LEVEL", value: settings.logLevel }];
  return { ...container, env: [...identity, ...level, ...others] };
}

function fromField(fieldPath: string) {
  return { valueFrom: { fieldRef: { fieldPath } } };
}

/** Sets what PodSecurity "restricted" demands of a container, and a read-only root file system. */
function restricted(container: Container): Container {
  return {
    ...container,
    securityContext: {
      ...container.securityContext,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}
