import * as z from "zod";
import { type ApplicationInstance, applicationInstances } from "../../api/applicationInstance.ts";
import { textDigest } from "../../api/digest.ts";
import { Annotation, Label } from "../../api/labels.ts";
import {
  ENGINE,
  isVeleroOperation,
  MAX_CLAIM,
  type Operation,
  operationSchema,
  operations,
  type Spec,
  type Status,
  SUPPORTED_TYPES,
  type VeleroOperation,
} from "../../api/operation.ts";
import {
  backupParametersSchema,
  parseParameters,
  restoreParametersSchema,
  wrongParameters,
} from "../../api/parameters.ts";
import { ConditionType } from "../../api/reasons.ts";
import { isAdmitted } from "../../api/status.ts";
import type { VeleroObject } from "../../api/velero.ts";
import { cutToBytes } from "../../kube/cut.ts";
import { declaredOnly } from "../../kube/declared.ts";
import { lenient, lenientText } from "../../kube/lenient.ts";
import { type KubeObject, kubeObjectSchema } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import { type Job, jobs } from "../../kube/resources.ts";

/**
 * Objects as the dispatcher keeps them in memory: what some decision or metric reads, and nothing else. Tenants can write anything
 * into their objects, up to megabytes each, and nothing bounds the number of objects.
 *
 * - Of every kind: the fields that the schema beside its type names; of the metadata what identifies an object.
 * - Of what tenants write: the labels and annotations that api/labels.ts names, each bounded.
 * - Of Operations: see {@link keptOperation}.
 *
 * docs/contract.md#memory.
 */

/** A kind that only admins and controllers write. */
export function trimmed<T extends KubeObject>(resource: Resource<T>): Resource<T> {
  const schema = declaredOnly(resource.schema).transform((object) => {
    const { labels } = object.metadata;
    return { ...object, metadata: { ...identity(object.metadata), ...(labels && { labels }) } };
  });
  return { ...resource, schema };
}

/** Of what other people have Velero do: that it is there, and how far it is. */
export function trimmedToPhase<T extends VeleroObject>(resource: Resource<T>): Resource<VeleroObject> {
  const schema = kubeObjectSchema
    .extend({ status: lenient(z.object({ phase: lenientText })) })
    .transform(({ apiVersion, kind, metadata, status }) => ({
      apiVersion,
      kind,
      metadata: identity(metadata),
      ...(status && { status }),
    }));
  return { ...resource, schema };
}

/** Jobs, with the managers that wrote them. */
export const trimmedJobs: Resource<Job> = {
  ...jobs,
  schema: declaredOnly(jobs.schema).transform((job) => {
    const { labels } = job.metadata;
    const managedFields = job.metadata.managedFields?.map(({ manager = "", ...rest }) => ({
      ...rest,
      manager: bounded(manager),
    }));
    const metadata = { ...identity(job.metadata), ...(labels && { labels }), ...(managedFields && { managedFields }) };
    return { ...job, metadata };
  }),
};

/** ApplicationInstances: of the conditions only Ready, and of a long text as much as a message shows. */
export const trimmedTargets: Resource<ApplicationInstance> = {
  ...applicationInstances,
  schema: declaredOnly(applicationInstances.schema).transform(({ apiVersion, kind, metadata, spec, status }) => {
    const namespace = spec?.release?.namespace ?? undefined;
    const ready = (status?.conditions ?? []).find(({ type }) => type === "Ready");
    return {
      apiVersion,
      kind,
      metadata: tenantMetadata(metadata),
      ...(namespace !== undefined && { spec: { release: { namespace: text(namespace) } } }),
      ...(status && {
        status: {
          observedGeneration: status.observedGeneration,
          conditions: ready && [
            { ...ready, reason: ready.reason && text(ready.reason), message: ready.message && text(ready.message) },
          ],
        },
      }),
    };
  }),
};

/** Operations, ours and others'. */
export const trimmedOperations: Resource<Operation> = {
  ...operations,
  // An Operation that is not ours may have any form.
  schema: z.preprocess(
    (raw) => (oursSchema.safeParse(raw).success ? raw : namedSchema.safeParse(raw).data),
    operationSchema.transform(keptOperation),
  ),
};

const oursSchema = z.looseObject({
  spec: z.looseObject({ type: z.enum(SUPPORTED_TYPES), engine: z.literal(ENGINE) }),
});
const namedSchema = z.object({ apiVersion: z.unknown(), kind: z.unknown(), metadata: z.unknown() });

/**
 * - Of an Operation that is not ours: that it exists.
 * - Of one that Succeeded: that it ended, when, and for which target. The dispatcher never writes its status again (decide.ts), so
 *   it needs nothing else.
 * - Of any other: the whole status, because the dispatcher writes back the whole, and of the spec what it decides on.
 */
function keptOperation(operation: Operation): Operation {
  const { apiVersion, kind, status } = operation;
  if (!isVeleroOperation(operation)) return { apiVersion, kind, metadata: identity(operation.metadata) };
  const metadata = tenantMetadata(operation.metadata);
  if (status?.phase === "Succeeded") {
    return { apiVersion, kind, metadata, spec: request(operation), status: ending(status) };
  }
  return {
    apiVersion,
    kind,
    metadata,
    spec: { ...request(operation), ...parameters(operation), ...approvals(operation) },
    ...(status && { status }),
  };
}

function request({ spec: { type, engine, targetRef } }: VeleroOperation): Spec {
  const { apiVersion, kind, name } = targetRef;
  return { type, engine, targetRef: { apiVersion: bounded(apiVersion), kind: bounded(kind), name: bounded(name) } };
}

/** Invalid parameters can be large and never become valid, so only what is wrong with them is kept. */
function parameters({ spec, status }: VeleroOperation): Pick<Spec, "parameters"> {
  if (spec.parameters === undefined) return {};
  const schema: z.ZodType = spec.type === "Backup" ? backupParametersSchema : restoreParametersSchema;
  const parsed = isAdmitted(status) ? { ok: true as const } : parseParameters(schema, spec.parameters);
  return { parameters: parsed.ok ? spec.parameters : wrongParameters(parsed.message) };
}

function approvals({ spec }: VeleroOperation): Pick<Spec, "approvals"> {
  if (spec.approvals === undefined) return {};
  const { required, claim } = spec.approvals;
  return { approvals: { required, ...(claim !== undefined && { claim: bounded(claim, MAX_CLAIM) }) } };
}

/** What metrics count, and whose Job it was. The words for people are the largest part, and nobody reads them here. */
function ending({ phase, startedAt, finishedAt, conditions, runner }: Status): Status {
  const counted = conditions?.filter(({ type }) => COUNTED.has(type)).map((one) => ({ ...one, message: "" })) ?? [];
  return {
    phase,
    startedAt,
    finishedAt,
    ...(counted.length > 0 && { conditions: counted }),
    ...(runner && { runner: { attempt: runner.attempt, jobName: runner.jobName, jobUIDs: runner.jobUIDs } }),
  };
}

const COUNTED: ReadonlySet<string> = new Set([ConditionType.cancelled, ConditionType.degraded]);

type Metadata = KubeObject["metadata"];

function identity(metadata: Metadata): Metadata {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
  return { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp };
}

function tenantMetadata(metadata: Metadata): Metadata {
  const labels = those(metadata.labels, Object.values(Label));
  const annotations = those(metadata.annotations, Object.values(Annotation));
  return { ...identity(metadata), ...(labels && { labels }), ...(annotations && { annotations }) };
}

function those(all: Record<string, string> | undefined, names: readonly string[]): Record<string, string> | undefined {
  const found = names.flatMap((name) => {
    const value = all?.[name];
    return value === undefined ? [] : [[name, bounded(value)] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** A tenant's text that is only compared. A longer one equals nothing that it is compared with, so its digest will do. */
function bounded(value: string, most: number = MAX_TEXT): string {
  return value.length <= most ? value : textDigest(value);
}

/** A text that is only shown, cut to the length of a message. */
function text(value: unknown): string {
  return cutToBytes(typeof value === "string" ? value : JSON.stringify(value), MAX_TEXT);
}

/** The length of a message (message.ts), in characters or bytes. */
const MAX_TEXT = 1024;
