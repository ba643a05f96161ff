import { isDeepStrictEqual } from "node:util";
import { ApiError } from "../../../../src/kube/errors.ts";
import { type KubeObject, keyOf, kubeObjectSchema } from "../../../../src/kube/metadata.ts";
import { apiVersionOf, type Resource } from "../../../../src/kube/resource.ts";
import type { FakeClock } from "../../kube/fakeClock.ts";
import { status } from "../../kube/loopback.ts";

/** One change of one object, and who made it. */
export interface Write {
  readonly actor: string;
  readonly verb: "create" | "replace" | "replaceStatus" | "patch" | "delete";
  readonly plural: string;
  readonly before: KubeObject | undefined;
  /** Undefined once it is gone. */
  readonly after: KubeObject | undefined;
}

/** A line of a watch, kept as long as nobody compacts. */
export interface StoredEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

const unversionedSchema = kubeObjectSchema.extend({
  metadata: kubeObjectSchema.shape.metadata.omit({ resourceVersion: true }).loose(),
});

/** What is sent to be created. */
interface Sent {
  readonly metadata: {
    readonly name?: string | undefined;
    readonly generateName?: string | undefined;
    readonly namespace?: string | undefined;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

interface Target {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/**
 * An API server's store in memory: resourceVersions, conflicts, preconditions, finalizers, the status subresource where a
 * kind has one, and a history for watches. Schemas, policies and rights are for the tests that run on a real one.
 */
export class FakeApiServer {
  /** Watches from before this version answer 410. */
  compactedBefore = 0;
  version = 1;
  readonly #clock: FakeClock;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #withStatus: ReadonlySet<string>;
  readonly #listeners: ((write: Write) => void)[] = [];
  readonly #events = new Map<string, StoredEvent[]>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #uids = 0;

  /** @param resources the kinds that it serves; `withStatus` those that have a status subresource */
  constructor(clock: FakeClock, resources: readonly Resource[], withStatus: readonly Resource[]) {
    this.#clock = clock;
    for (const { plural } of resources) {
      this.#objects.set(plural, new Map());
      this.#events.set(plural, []);
      this.#waiting.set(plural, new Set());
    }
    this.#withStatus = new Set(withStatus.map(({ plural }) => plural));
  }

  onWrite(listener: (write: Write) => void): void {
    this.#listeners.push(listener);
  }

  /** What there is to watch of a kind, oldest first. */
  eventsOf(plural: string): readonly StoredEvent[] {
    return this.#events.get(plural) ?? [];
  }

  /**
   * Calls back at the next change of that kind, once.
   *
   * @returns takes that back
   */
  nextEvent(plural: string, callback: () => void): () => void {
    const waiting = this.#waiting.get(plural);
    waiting?.add(callback);
    return () => waiting?.delete(callback);
  }

  /** @returns undefined for a kind that is not installed */
  all(plural: string): readonly KubeObject[] | undefined {
    const objects = this.#objects.get(plural);
    return objects && [...objects.values()];
  }

  list<T extends KubeObject>({ plural, schema }: Resource<T>): T[] {
    return (this.all(plural) ?? []).map((object) => schema.parse(object));
  }

  find(plural: string, target: Target): KubeObject | undefined {
    return this.#objects.get(plural)?.get(keyOf({ metadata: target }));
  }

  get(plural: string, target: Target): KubeObject {
    const found = this.find(plural, target);
    if (found === undefined) throw refusal(404, "NotFound", `${plural} ${keyOf({ metadata: target })} not found`);
    return found;
  }

  create(
    actor: string,
    resource: Pick<Resource, "group" | "version" | "plural" | "kind">,
    manifest: Sent,
    manager = actor,
  ): KubeObject {
    const { plural, kind } = resource;
    this.#uids += 1;
    const { generateName, name = `${generateName}${this.#uids}` } = manifest.metadata;
    const target = { namespace: manifest.metadata.namespace, name };
    if (this.find(plural, target) !== undefined) {
      throw refusal(409, "AlreadyExists", `${plural} ${keyOf({ metadata: target })} already exists`);
    }
    const metadata = {
      ...manifest.metadata,
      name,
      uid: `uid-${this.#uids}`,
      generation: 1,
      creationTimestamp: this.now(),
      managedFields: [{ manager, operation: "Update", time: this.now() }],
    };
    const { status: _unset, ...unstarted } = manifest;
    const body = this.#withStatus.has(plural) ? unstarted : manifest;
    return this.#store(actor, "create", plural, undefined, {
      ...body,
      apiVersion: apiVersionOf(resource),
      kind,
      metadata,
    });
  }

  replace(actor: string, plural: string, sent: KubeObject, subresource?: "status"): KubeObject {
    const before = this.get(plural, sent.metadata);
    const { uid, resourceVersion } = sent.metadata;
    if (resourceVersion !== before.metadata.resourceVersion || uid !== before.metadata.uid) {
      throw refusal(409, "Conflict", `${plural} ${keyOf(sent)}: the object has been modified`);
    }
    const part = (from: KubeObject) => ("status" in from ? { status: from.status } : {});
    const { status: _theirs, ...sentRest } = sent;
    const { status: _ours, ...beforeRest } = before;
    if (subresource === "status")
      return this.#store(actor, "replaceStatus", plural, before, { ...beforeRest, ...part(sent) });
    const after = this.#withStatus.has(plural) ? { ...sentRest, ...part(before) } : sent;
    return this.#store(actor, "replace", plural, before, after);
  }

  /** Merge patch, as whoever does not care what the object was. */
  patch(actor: string, plural: string, target: Target, patch: Readonly<Record<string, unknown>>): KubeObject {
    const before = this.get(plural, target);
    return this.#store(actor, "patch", plural, before, merged(before, patch));
  }

  delete(actor: string, plural: string, target: Target, preconditions: Preconditions = {}): void {
    const before = this.get(plural, target);
    const { uid, resourceVersion } = before.metadata;
    if ((preconditions.uid ?? uid) !== uid || (preconditions.resourceVersion ?? resourceVersion) !== resourceVersion) {
      throw refusal(409, "Conflict", `${plural} ${keyOf({ metadata: target })}: precondition failed`);
    }
    if ((before.metadata.finalizers ?? []).length === 0) {
      this.#remove(actor, plural, before);
    } else if (before.metadata.deletionTimestamp === undefined) {
      const metadata = { ...before.metadata, deletionTimestamp: this.now() };
      this.#store(actor, "delete", plural, before, { ...before, metadata });
    }
  }

  /** Makes the history before now unknown: whoever resumes there has to list again. */
  compact(): void {
    this.compactedBefore = this.version + 1;
    this.version += 1;
    for (const [plural, events] of this.#events) {
      events.length = 0;
      this.#wake(plural);
    }
  }

  now(): string {
    return this.#clock
      .now()
      .toISOString()
      .replace(/\.\d+Z$/, "Z");
  }

  #store(
    actor: string,
    verb: Write["verb"],
    plural: string,
    before: KubeObject | undefined,
    sent: unknown,
  ): KubeObject {
    const objects = this.#objects.get(plural);
    if (objects === undefined) throw refusal(404, "NotFound", `no kind ${plural}`);
    const parsed = unversionedSchema.parse(JSON.parse(JSON.stringify(sent)));
    const kept = {
      ...parsed,
      metadata: { ...parsed.metadata, resourceVersion: before?.metadata.resourceVersion ?? "" },
    };
    if (before !== undefined && isDeepStrictEqual(kept, before)) return before;
    this.version += 1;
    const after = { ...kept, metadata: { ...kept.metadata, resourceVersion: String(this.version) } };
    if (after.metadata.deletionTimestamp !== undefined && (after.metadata.finalizers ?? []).length === 0) {
      this.#remove(actor, plural, after);
      return after;
    }
    objects.set(keyOf(after), after);
    const type = before === undefined ? "ADDED" : "MODIFIED";
    this.#events.get(plural)?.push({ version: this.version, type, object: after });
    this.#tell({ actor, verb, plural, before, after });
    return after;
  }

  #remove(actor: string, plural: string, before: KubeObject): void {
    this.#objects.get(plural)?.delete(keyOf(before));
    this.version += 1;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.version) } };
    this.#events.get(plural)?.push({ version: this.version, type: "DELETED", object });
    this.#tell({ actor, verb: "delete", plural, before, after: undefined });
  }

  #wake(plural: string): void {
    const waiting = [...(this.#waiting.get(plural) ?? [])];
    this.#waiting.get(plural)?.clear();
    for (const callback of waiting) callback();
  }

  #tell(write: Write): void {
    for (const listener of this.#listeners) listener(write);
    this.#wake(write.plural);
  }
}

/** The server's no, as the client would throw it. */
export function refusal(code: number, reason: string, message: string): ApiError {
  return new ApiError("fake", code, status(code, reason, message));
}

function merged(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
