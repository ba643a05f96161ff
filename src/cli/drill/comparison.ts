import { isDeepStrictEqual } from "node:util";
import type { ArchivedObject, JsonObject } from "./archive.ts";

/** Is what was restored what the archive holds? Pure: both are given. */

/** What of the objects of one kind came back. */
export interface KindCount {
  /** As RBAC names it: `deployments.apps`. */
  readonly resource: string;
  readonly inBackup: number;
  readonly restored: number;
  /** That equal what the archive holds. */
  readonly equal: number;
  /** Of which the original has not changed since the backup, and equals it; undefined: not to be seen. */
  readonly equalsOriginal: number | undefined;
}

export interface Comparison {
  readonly kinds: readonly KindCount[];
  /** What is not as it should be, one sentence each. */
  readonly problems: readonly string[];
}

/**
 * Kinds that a drill restores: Kubernetes' own, which do nothing outside the namespace. A copy of another kind might: a
 * controller of it may delete the real thing with the copy.
 */
export const DRILLED_KINDS = [
  "configmaps",
  "cronjobs.batch",
  "daemonsets.apps",
  "deployments.apps",
  "horizontalpodautoscalers.autoscaling",
  "limitranges",
  "poddisruptionbudgets.policy",
  "rolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "secrets",
  "serviceaccounts",
  "services",
  "statefulsets.apps",
] as const;

/** What a drill of an archive can and cannot look at. */
export interface DrillPlan {
  /** The kinds to restore. */
  readonly included: readonly string[];
  /** What is to be compared. */
  readonly compared: readonly ArchivedObject[];
  /** What bounds the namespace that was backed up, and is to bound its copy where that runs. */
  readonly quotas: readonly ArchivedObject[];
  /** How many objects of which kind are left out, and why. */
  readonly left: readonly LeftOut[];
}

export interface LeftOut {
  readonly resource: string;
  readonly count: number;
  readonly why: string;
  /** Whether data is lost that no object of another kind stands for: then the drill proves too little. */
  readonly isData: boolean;
}

/** Made again by controllers, or of no use in a backup. */
const MADE_BY_CONTROLLERS: ReadonlySet<string> = new Set([
  "endpoints",
  "endpointslices.discovery.k8s.io",
  "events",
  "events.events.k8s.io",
]);
const VOLUMES: ReadonlySet<string> = new Set(["persistentvolumeclaims", "volumesnapshots.snapshot.storage.k8s.io"]);
/** A Service of these types would open the copy to the outside, and may cost money. */
const OPEN_TYPES: ReadonlySet<unknown> = new Set(["LoadBalancer", "NodePort"]);

/** Works out what of an archive a drill restores and compares. */
export function planOf(archived: readonly ArchivedObject[]): DrillPlan {
  const own = archived.filter(({ resource, content }) => !MADE_BY_CONTROLLERS.has(resource) && !isControlled(content));
  const opens = own.find(({ resource, content }) => resource === "services" && OPEN_TYPES.has(specOf(content).type));
  const included = DRILLED_KINDS.filter((kind) => kind !== "services" || opens === undefined);
  const isIncluded = ({ resource }: ArchivedObject) => included.some((kind) => kind === resource);
  const byKind = Map.groupBy(
    own.filter((object) => !isIncluded(object)),
    ({ resource }) => resource,
  );
  const left = [...byKind].map(([resource, { length: count }]) => ({
    resource,
    count,
    why: whyLeft(resource, opens?.name),
    isData: VOLUMES.has(resource),
  }));
  const compared = own.filter((object) => isIncluded(object) && !isMadeByCluster(object));
  return { included, compared, quotas: own.filter(({ resource }) => resource === "resourcequotas"), left };
}

function whyLeft(resource: string, open: string | undefined): string {
  if (VOLUMES.has(resource)) return "a drill restores no volumes yet";
  if (resource === "services") return `service/${open} would open the copy to the outside`;
  if (resource === "pods" || resource === "jobs.batch") return "a drill restores what makes them, at most";
  if (resource === "resourcequotas") return "the copy has bounds of its own";
  return "a copy of this kind could act outside the namespace";
}

/** The objects of a namespace, by key. */
export type Objects = ReadonlyMap<string, JsonObject>;

/**
 * Compares what came back with what the archive holds, and that with the originals which have not changed since.
 *
 * @param originals what is in the namespace that was backed up; undefined: not to be seen
 */
export function compare(
  compared: readonly ArchivedObject[],
  { restored, originals }: { readonly restored: Objects; readonly originals: Objects | undefined },
  mapping: NamespaceMapping,
): Comparison {
  const problems: string[] = [];
  const kinds = [...Map.groupBy(compared, ({ resource }) => resource)].map(([resource, objects]) => {
    const there = objects.filter((object) => {
      const isThere = restored.has(keyOf(object));
      if (!isThere) problems.push(`${keyOf(object)} is in the backup and was not restored`);
      return isThere;
    });
    const equal = there.filter((object) => {
      const found = restored.get(keyOf(object));
      const differs = found && firstDifference(essence(object.content, mapping), essence(found, mapping));
      if (differs !== undefined) problems.push(`${keyOf(object)} differs from the backup in ${differs}`);
      return differs === undefined;
    });
    const original = objects.filter((object) => {
      const found = originals?.get(keyOf(object));
      if (found === undefined || !isSameVersion(found, object.content)) return false;
      const differs = firstDifference(essence(object.content, mapping), essence(found, mapping));
      if (differs !== undefined)
        problems.push(`${keyOf(object)} has not changed since the backup, which differs from it in ${differs}`);
      return differs === undefined;
    });
    return {
      resource,
      inBackup: objects.length,
      restored: there.length,
      equal: equal.length,
      equalsOriginal: originals === undefined ? undefined : original.length,
    };
  });
  return { kinds, problems };
}

/** What Velero's own list of a Backup names, and the archive lacks. */
export function missingFromArchive(
  archived: readonly ArchivedObject[],
  listed: Readonly<Record<string, readonly string[]>>,
  namespace: string,
): string[] {
  const held = new Set(archived.map(({ kind, name }) => `${kind} ${name}`));
  return Object.entries(listed).flatMap(([kind, objects]) =>
    objects
      .filter((object) => object.startsWith(`${namespace}/`))
      .map((object) => `${kind} ${object.slice(namespace.length + 1)}`)
      .filter((object) => !held.has(object))
      .map((object) => `${object} is in Velero's list of the backup and not in its archive`),
  );
}

export interface NamespaceMapping {
  readonly from: string;
  readonly into: string;
}

/** `deployments.apps/web` */
export function keyOf({ resource, name }: Pick<ArchivedObject, "resource" | "name">): string {
  return `${resource}/${name}`;
}

function isSameVersion(one: JsonObject, other: JsonObject): boolean {
  const { uid, resourceVersion } = one.metadata;
  return uid !== undefined && uid === other.metadata.uid && resourceVersion === other.metadata.resourceVersion;
}

/** What each namespace has of its own. */
function isMadeByCluster({ resource, name, content }: ArchivedObject): boolean {
  if (resource === "configmaps") return name === "kube-root-ca.crt";
  // Its token belongs to the account of the old namespace.
  return resource === "secrets" && content.type === "kubernetes.io/service-account-token";
}

function isControlled({ metadata }: JsonObject): boolean {
  return metadata.ownerReferences?.some(({ controller }) => controller === true) ?? false;
}

/** Written by Velero, or by controllers for themselves. */
const FOREIGN_KEY = /^(velero\.io\/|deployment\.kubernetes\.io\/revision$|deprecated\.daemonset\.)/;

/** The part of an object that a restore has to bring back. */
function essence(object: JsonObject, { from, into }: NamespaceMapping): Record<string, unknown> {
  const { apiVersion: _version, kind: _kind, metadata, status: _status, ...content } = object;
  const own = (entries: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(entries).filter(([key]) => !FOREIGN_KEY.test(key)));
  const base = { labels: own(metadata.labels), annotations: own(metadata.annotations) };
  switch (object.kind) {
    case "Service":
      return { ...base, ...content, spec: serviceEssence(specOf(object)) };
    case "ServiceAccount":
      // The cluster adds names of tokens.
      return { ...base, automountServiceAccountToken: content.automountServiceAccountToken };
    case "RoleBinding":
      return { ...base, ...content, subjects: subjectsIn(content.subjects, { from, into }) };
    default:
      return { ...base, ...content };
  }
}

/** What the API server chooses for each Service anew is left out. */
function serviceEssence(spec: Record<string, unknown>): Record<string, unknown> {
  const { clusterIP, clusterIPs: _ips, healthCheckNodePort: _port, ...rest } = spec;
  return { ...rest, isHeadless: clusterIP === "None" };
}

/** Velero has accounts of the old namespace become those of the new one. */
function subjectsIn(subjects: unknown, { from, into }: NamespaceMapping): unknown {
  if (!Array.isArray(subjects)) return subjects;
  return subjects.map((subject: Record<string, unknown>) =>
    subject.namespace === from ? { ...subject, namespace: into } : subject,
  );
}

function specOf(object: JsonObject): Record<string, unknown> {
  return Object(object.spec);
}

/** What is all the team's own. Elsewhere the cluster may add fields: a newer API server has defaults that an older one had not. */
const TEAMS_OWN: ReadonlySet<string> = new Set(["data", "binaryData"]);

/** The first field of the archived object that another one lacks or has differently: `spec.replicas`, never its value, which may be secret. */
function firstDifference(archived: unknown, found: unknown, path: readonly string[] = []): string | undefined {
  if (isDeepStrictEqual(archived, found)) return undefined;
  if (Array.isArray(archived) && Array.isArray(found) && archived.length === found.length) {
    return firstOf(archived.keys(), (at) => firstDifference(archived[at], found[at], [...path, String(at)]));
  }
  if (!isRecord(archived) || !isRecord(found)) return path.join(".");
  const mayHaveMore = !TEAMS_OWN.has(path[0] ?? "");
  const keys = mayHaveMore ? Object.keys(archived) : new Set([...Object.keys(archived), ...Object.keys(found)]);
  return firstOf(keys, (key) => firstDifference(archived[key], found[key], [...path, key]));
}

function firstOf<T>(all: Iterable<T>, find: (each: T) => string | undefined): string | undefined {
  for (const each of all) {
    const found = find(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
