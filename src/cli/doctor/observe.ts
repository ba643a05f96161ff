import { randomUUID } from "node:crypto";
import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { DISPATCHER_NAME } from "../../api/names.ts";
import { type Operation, operations } from "../../api/operation.ts";
import {
  type Backup,
  backups,
  type DownloadRequest,
  downloadRequests,
  type Restore,
  restores,
  type StorageLocation,
  storageLocations,
  VELERO_DEPLOYMENT,
} from "../../api/velero.ts";
import type { Settings } from "../../dispatcher/settings.ts";
import { TEMPLATES_CONFIG_MAP } from "../../dispatcher/templates/parseTemplates.ts";
import { isForbidden, isNoSuchKind, isNotFound } from "../../kube/errors.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import {
  type ConfigMap,
  type CustomResourceDefinition,
  configMaps,
  customResourceDefinitions,
  type Job,
  jobs,
  type Lease,
  leases,
  namespaces,
  type ValidatingAdmissionPolicyBinding,
  type VolumeSnapshotClass,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  volumeSnapshotClasses,
} from "../../kube/resources.ts";
import { awaitObject } from "../awaitObject.ts";
import type { Context } from "../context.ts";
import { writeOptions } from "../mutation.ts";
import { platformSettings, SETTINGS_CONFIG_MAP } from "../platformSettings.ts";
import type { Seen } from "../seen.ts";
import { type Deployment, deployments, type ServerStatusRequest, serverStatusRequests } from "./resources.ts";
import { RIGHTS, type Right } from "./rights.ts";

/** All that `doctor` looks at, as it was at one moment. `undefined` as a value: it is not there. */
export interface Observed {
  readonly systemNamespace: string;
  readonly veleroNamespace: string;
  readonly crds: Seen<readonly CustomResourceDefinition[]>;
  readonly policies: Seen<readonly KubeObject[]>;
  readonly bindings: Seen<readonly ValidatingAdmissionPolicyBinding[]>;
  readonly namespace: Seen<KubeObject | undefined>;
  readonly dispatcher: Seen<Deployment | undefined>;
  readonly lease: Seen<Lease | undefined>;
  /** What the dispatcher goes by, or why it cannot be used. */
  readonly settings: Seen<Settings | string>;
  readonly templates: Seen<ConfigMap | undefined>;
  /** The rights that an account lacks. */
  readonly missingRights: Seen<readonly Right[]>;
  readonly velero: Seen<Deployment | undefined>;
  /** What Velero's server answers; undefined where it does not. */
  readonly server: Seen<ServerStatusRequest | undefined>;
  readonly locations: Seen<readonly StorageLocation[]>;
  readonly snapshotClasses: Seen<readonly VolumeSnapshotClass[] | undefined>;
  readonly operations: Seen<readonly Operation[]>;
  readonly jobs: Seen<readonly Job[]>;
  readonly backups: Seen<readonly Backup[]>;
  readonly restores: Seen<readonly Restore[]>;
  readonly downloadRequests: Seen<readonly DownloadRequest[]>;
  /** By how much the API server's clock is ahead of ours, in milliseconds, to the second. */
  readonly clockAheadMs: Seen<number>;
  readonly now: Date;
}

/** Velero answers in a second, when it is not busy with something else. In milliseconds. */
const SERVER_PATIENCE_MS = 20_000;
/** So many questions about rights are asked at a time. */
const AT_ONCE = 10;

/** Looks at everything, with the caller's rights. What they may not see is noted as such. */
export async function observe(systemNamespace: string, context: Context): Promise<Observed> {
  const { access, interrupt, now } = context;
  const signal = interrupt;
  const get = <T extends KubeObject>(resource: Resource<T>, namespace: string | undefined, name: string) =>
    seen(async () => await access.client.get(resource, { namespace, name }, { signal }));
  const list = <T extends KubeObject>(resource: Resource<T>, namespace?: string) =>
    seen(async () => (await access.client.list(resource, { namespace }, { signal, onMalformed: () => {} })).items);
  const orNone = <T>(all: Seen<readonly T[] | undefined>): Seen<readonly T[]> =>
    all.ok ? { ok: true, value: all.value ?? [] } : all;

  const dispatcher = await get(deployments, systemNamespace, DISPATCHER_NAME);
  const settings = await platformSettings(
    dispatcher,
    await get(configMaps, systemNamespace, SETTINGS_CONFIG_MAP),
    systemNamespace,
  );
  const veleroNamespace = settings.ok && typeof settings.value === "object" ? settings.value.veleroNamespace : "velero";
  const velero = await get(deployments, veleroNamespace, VELERO_DEPLOYMENT);
  // Where no pod of it is there, none can answer.
  const patienceMs = velero.ok && !velero.value?.status?.availableReplicas ? 0 : SERVER_PATIENCE_MS;
  const [server, clockAheadMs] = await askServer(veleroNamespace, patienceMs, context);
  const [crds, policies, bindings, namespace, lease, templates, locations, classes] = await Promise.all([
    list(customResourceDefinitions),
    list(validatingAdmissionPolicies),
    list(validatingAdmissionPolicyBindings),
    get(namespaces, undefined, systemNamespace),
    get(leases, systemNamespace, DISPATCHER_NAME),
    get(configMaps, systemNamespace, TEMPLATES_CONFIG_MAP),
    list(storageLocations, veleroNamespace),
    list(volumeSnapshotClasses),
  ]);
  const [missingRights, allOperations, allJobs, allBackups, allRestores, downloads] = await Promise.all([
    lacking(systemNamespace, veleroNamespace, context),
    list(operations),
    list(jobs, systemNamespace),
    list(backups, veleroNamespace),
    list(restores, veleroNamespace),
    list(downloadRequests, veleroNamespace),
  ]);
  return {
    ...{ systemNamespace, veleroNamespace, namespace, dispatcher, lease, settings, templates, missingRights, velero },
    ...{ server, clockAheadMs, snapshotClasses: classes, now: now() },
    crds: orNone(crds),
    policies: orNone(policies),
    bindings: orNone(bindings),
    locations: orNone(locations),
    operations: orNone(allOperations),
    jobs: orNone(allJobs),
    backups: orNone(allBackups),
    restores: orNone(allRestores),
    downloadRequests: orNone(downloads),
  };
}

/** What is not there is undefined; what may not be seen says so. */
async function seen<T>(read: () => Promise<T>): Promise<Seen<T | undefined>> {
  try {
    return { ok: true, value: await read() };
  } catch (error) {
    if (isNotFound(error) || isNoSuchKind(error)) return { ok: true, value: undefined };
    if (!isForbidden(error)) throw error;
    // What was asked, as the error's message begins; the API server's own words after that say no more.
    const [call = ""] = error instanceof Error ? error.message.split(": 403", 1) : [];
    return { ok: false, why: `no right to ${call}` };
  }
}

/** Has Velero's server say that it is there; what was made for that is removed. */
async function askServer(
  namespace: string,
  patienceMs: number,
  context: Context,
): Promise<[Seen<ServerStatusRequest | undefined>, Seen<number>]> {
  const { access, now } = context;
  const target = { namespace, name: `operation-doctor-${randomUUID()}` };
  const made = await seen(async () => {
    const before = now();
    const manifest = { metadata: target, spec: {} };
    const request = await access.client.create(serverStatusRequests, manifest, writeOptions(context));
    // To the second, and somewhere between the two moments.
    return Math.round((Date.parse(request.metadata.creationTimestamp) - before.getTime()) / 1000) * 1000;
  });
  if (!made.ok) return [made, made];
  if (made.value === undefined) {
    const none: Seen<never> = { ok: false, why: "this cluster has no ServerStatusRequests: Velero is not installed" };
    return [none, none];
  }
  try {
    const isAnswered = (request: ServerStatusRequest | undefined) =>
      request === undefined || request.status?.phase === "Processed";
    const value = await awaitObject(serverStatusRequests, target, isAnswered, patienceMs, context);
    return [
      { ok: true, value },
      { ok: true, value: made.value },
    ];
  } catch {
    context.interrupt.throwIfAborted();
    return [
      { ok: true, value: undefined },
      { ok: true, value: made.value },
    ];
  } finally {
    await access.client.delete(serverStatusRequests, target).catch(() => undefined);
  }
}

const reviewSchema = z.looseObject({ status: z.looseObject({ allowed: z.boolean() }) });

/** Asks about every right of every account. */
async function lacking(
  systemNamespace: string,
  veleroNamespace: string,
  { access, interrupt }: Context,
): Promise<Seen<readonly Right[]>> {
  const places = { cluster: undefined, system: systemNamespace, velero: veleroNamespace };
  const isMissing = async ({ account, where, group, resource, verb, name }: Right) => {
    const [plural, subresource] = resource.split("/");
    const attributes = { namespace: places[where], group, resource: plural, subresource, verb, name };
    const text = await access.transport.text({
      method: HttpMethod.POST,
      path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: { user: `system:serviceaccount:${systemNamespace}:${account}`, resourceAttributes: attributes },
      },
      call: `ask for the rights of ${account}`,
      signal: interrupt,
    });
    return !reviewSchema.parse(JSON.parse(text)).status.allowed;
  };
  const missing: Right[] = [];
  const found = await seen(async () => {
    for (let at = 0; at < RIGHTS.length; at += AT_ONCE) {
      const some = RIGHTS.slice(at, at + AT_ONCE);
      const answers = await Promise.all(some.map(isMissing));
      missing.push(...some.filter((_, index) => answers[index]));
    }
    return missing;
  });
  return found.ok ? { ok: true, value: missing } : found;
}
