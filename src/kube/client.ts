import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { loadConfig } from "./config.ts";
import { DISCOVERY_TYPE, parseDiscovery, type Served } from "./discovery.ts";
import { AnswerTooLargeError, isGone, MalformedObjectError, UnreachableError } from "./errors.ts";
import { type KubeObject, keyOf, type Manifest } from "./metadata.ts";
import { apiVersionOf, pathOf, qualifiedName, type Resource } from "./resource.ts";
import { Transport } from "./transport.ts";

/** Names one object; an object without a namespace has no `namespace`. */
export interface ObjectName {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** Selects objects of one kind; without `namespace`, in all namespaces. */
export interface Selection {
  readonly namespace?: string | undefined;
  /** As kubectl's `-l`. */
  readonly labelSelector?: string | undefined;
  /** As kubectl's `--field-selector`, such as `metadata.name=b1`. */
  readonly fieldSelector?: string | undefined;
}

export interface CallOptions {
  /** Aborts the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long the whole call may take, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Recorded in managedFields as the writer. */
  readonly fieldManager?: string | undefined;
  /** Makes the server check the change and store nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Delete only the object that was read; if it has changed, the server answers 409 Conflict. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

export interface ObjectList<T> {
  readonly items: T[];
  /** Where a watch must start so that it misses nothing after this list. */
  readonly resourceVersion: string;
}

export interface ListOptions extends CallOptions {
  /** Is called for objects that do not parse, which are then left out. Without it, the first of them fails the list. */
  readonly onMalformed?: ((error: MalformedObjectError) => void) | undefined;
}

export interface StreamOptions {
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** After how many seconds the server should end the stream (it does so cleanly). */
  readonly timeoutSeconds: number;
  /** Is called each time the server sends something: on its first answer and on every line. */
  readonly onContact: () => void;
}

/** One line of a watch, not yet parsed: `object` may be an object, a bookmark or a Status. */
export interface StreamEvent {
  readonly type: string;
  readonly object: unknown;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PAGE_SIZE = 500;
/**
 * How much of a list is read at a time, in bytes. A tenant's object can have 1.5 MiB (etcd's limit), and twenty times
 * that in memory once it is parsed. So a page of a fixed number of objects could take any amount of memory.
 */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;
/** How often a list begins again because its snapshot has expired, before it fails. */
const MAX_RESTARTS = 3;

const listSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullable(),
});
const eventSchema = z.looseObject({ type: z.string(), object: z.unknown() });
const namedSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

type UsedTransport = Pick<Transport, "text" | "lines"> & Partial<Pick<Transport, "onAnswer">>;

/**
 * Reads and writes objects of the API server. Every method
 * - throws {@link ApiError} when the server refuses, {@link UnreachableError} when it does not answer (in time), and
 *   {@link MalformedObjectError} when an object is not what its schema says;
 * - tries once: the runner retries by retry.ts (for how long says runner/context.ts), the dispatcher by its queue (queue.ts).
 */
export class KubeClient {
  readonly #transport: UsedTransport;

  constructor(transport: UsedTransport) {
    this.#transport = transport;
  }

  /** Tells the listener, and no other, of each answer: the verb and the HTTP status; undefined where no answer came. */
  onAnswer(listener: (verb: string, code: number | undefined) => void): void {
    this.#transport.onAnswer = listener;
  }

  /** Reads one object. */
  async get<T extends KubeObject>(resource: Resource<T>, object: ObjectName, options?: CallOptions): Promise<T> {
    return await this.#object("get", HttpMethod.GET, resource, object, options, {});
  }

  /**
   * Reads what kinds of objects the API server serves now.
   *
   * @throws ZodError when the server does not answer with one document for all groups (Kubernetes before 1.30)
   */
  async discover(options: CallOptions = {}): Promise<Served> {
    const documents: unknown[] = [];
    for (const path of ["/api", "/apis"]) {
      const call = `discover ${path}`;
      const answer = await this.#limited(call, options, (signal) =>
        this.#transport.text({ method: HttpMethod.GET, path, accept: DISCOVERY_TYPE, call, signal }),
      );
      documents.push(parseJson(call, answer));
    }
    return parseDiscovery(documents);
  }

  /**
   * Reads all selected objects, as of one moment, page by page. Each page has as many objects as fit into
   * MAX_PAGE_BYTES, and is parsed before the next one is read.
   */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    selection: Selection = {},
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    for (let restarts = 0; ; restarts++) {
      try {
        return await this.#listPages(resource, selection, options);
      } catch (error) {
        // The token of the next page expires with its snapshot: begin again with a new snapshot.
        if (!isGone(error) || restarts >= MAX_RESTARTS) throw error;
      }
    }
  }

  /** Creates one object; 409 AlreadyExists when the name is taken. */
  async create<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, options?: WriteOptions): Promise<T> {
    const { name = manifest.metadata.generateName ?? "", namespace } = manifest.metadata;
    return await this.#object("create", HttpMethod.POST, resource, { namespace, name }, options, {
      path: pathOf(resource, { namespace }),
      body: { ...manifest, apiVersion: apiVersionOf(resource), kind: resource.kind },
    });
  }

  /** Replaces one object by the given one; 409 Conflict unless it still has the given resourceVersion. */
  async replace<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T> {
    return await this.#object("replace", HttpMethod.PUT, resource, object.metadata, options, { body: object });
  }

  /** Replaces the status and leaves the spec as it is; 409 Conflict unless the object still has the given resourceVersion. */
  async replaceStatus<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T> {
    return await this.#object("replace status of", HttpMethod.PUT, resource, object.metadata, options, {
      path: pathOf(resource, { ...object.metadata, subresource: "status" }),
      body: object,
    });
  }

  /** Changes the given fields (JSON merge patch: null removes a field, a list replaces the whole list). */
  async mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    object: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options?: WriteOptions,
  ): Promise<T> {
    return await this.#object("patch", HttpMethod.PATCH, resource, object, options, {
      body: patch,
      contentType: "application/merge-patch+json",
    });
  }

  /** Asks for deletion; finalizers may hold the object for longer. */
  async delete(resource: Resource, object: ObjectName, options: DeleteOptions = {}): Promise<void> {
    const { preconditions, propagationPolicy } = options;
    const call = describe("delete", resource, object);
    await this.#limited(call, options, async (signal) => {
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions, propagationPolicy };
      await this.#transport.text({ method: HttpMethod.DELETE, path: pathOf(resource, object), body, call, signal });
    });
  }

  /**
   * Follows changes from a resourceVersion on, bookmarks included, until the server ends the stream (a clean return) or
   * the connection breaks (UnreachableError). For a watch that never ends see watch.ts.
   *
   * @throws SyntaxError when the server sends a line that is no JSON
   */
  async *stream(resource: Resource, selection: Selection, options: StreamOptions): AsyncGenerator<StreamEvent> {
    const request = {
      method: HttpMethod.GET,
      path: pathOf(resource, { namespace: selection.namespace }),
      query: {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.timeoutSeconds,
        labelSelector: selection.labelSelector,
        fieldSelector: selection.fieldSelector,
      },
      call: describe("watch", resource, selection),
      signal: options.signal,
    };
    for await (const line of this.#transport.lines(request, options.onContact)) yield eventSchema.parse(line);
  }

  /** Parses what the server sent as an object of this kind. Lists of built-in kinds leave apiVersion and kind out. */
  parse<T extends KubeObject>(resource: Resource<T>, raw: unknown): T {
    const full =
      typeof raw === "object" && raw !== null
        ? { ...raw, apiVersion: apiVersionOf(resource), kind: resource.kind }
        : raw;
    const parsed = resource.schema.safeParse(full);
    if (parsed.success) return parsed.data;
    const named = namedSchema.safeParse(raw);
    throw new MalformedObjectError(qualifiedName(resource), named.success ? keyOf(named.data) : "", parsed.error);
  }

  async #object<T extends KubeObject>(
    verb: string,
    method: HttpMethod,
    resource: Resource<T>,
    object: ObjectName,
    options: WriteOptions = {},
    request: { path?: string; body?: unknown; contentType?: string },
  ): Promise<T> {
    const call = describe(verb, resource, object);
    const query = { fieldManager: options.fieldManager, dryRun: options.dryRun === true ? "All" : undefined };
    const path = pathOf(resource, object);
    const answer = await this.#limited(call, options, (signal) =>
      this.#transport.text({ method, path, query, ...request, call, signal }),
    );
    return this.parse(resource, parseJson(call, answer));
  }

  async #listPages<T extends KubeObject>(
    resource: Resource<T>,
    selection: Selection,
    options: ListOptions,
  ): Promise<ObjectList<T>> {
    const call = describe("list", resource, selection);
    const pageSize = resource.pageSize ?? DEFAULT_PAGE_SIZE;
    const items: T[] = [];
    let limit = pageSize;
    let next: string | undefined;
    for (;;) {
      const answer = await this.#page(resource, selection, options, { limit, continue: next });
      if (answer === undefined) {
        limit = Math.ceil(limit / 4);
        continue;
      }
      if (answer.length * 2 <= MAX_PAGE_BYTES) limit = Math.min(limit * 2, pageSize);
      const page = listSchema.parse(parseJson(call, answer));
      for (const raw of page.items ?? []) {
        try {
          items.push(this.parse(resource, raw));
        } catch (error) {
          if (!(error instanceof MalformedObjectError) || options.onMalformed === undefined) throw error;
          options.onMalformed(error);
        }
      }
      next = page.metadata.continue;
      if (next === undefined || next === "") return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  /** One page as text; undefined if it is too large. A page of one object is never too large. */
  async #page(
    resource: Resource,
    selection: Selection,
    options: CallOptions,
    page: { limit: number; continue: string | undefined },
  ): Promise<string | undefined> {
    const { namespace, labelSelector, fieldSelector } = selection;
    const call = describe("list", resource, selection);
    const path = pathOf(resource, { namespace });
    const query = { labelSelector, fieldSelector, ...page };
    const maxBytes = page.limit === 1 ? undefined : MAX_PAGE_BYTES;
    try {
      return await this.#limited(call, options, (signal) =>
        this.#transport.text({ method: HttpMethod.GET, path, query, call, maxBytes, signal }),
      );
    } catch (error) {
      if (error instanceof AnswerTooLargeError) return undefined;
      throw error;
    }
  }

  /** Runs a call under its time limit and the caller's signal, whichever ends first. */
  async #limited<T>(call: string, options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    signal?.throwIfAborted();
    const controller = new AbortController();
    const giveUp = () => controller.abort(signal?.reason);
    const timer = setTimeout(() => {
      controller.abort(new UnreachableError(call, `none within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    // Not AbortSignal.any: a process-long signal must not gather one dependent per request.
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      return await work(controller.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

/**
 * A client for the API server that the environment names: `KUBECONFIG`, else the pod's service account.
 *
 * @param component the name that the API server's audit log shows, beside the version: `dispatcher`, `runner`
 * @throws Error that says where it looked, when the environment names no API server
 */
export function connect(
  env: NodeJS.ProcessEnv,
  { component, version }: { component: string; version: string },
): KubeClient {
  return new KubeClient(new Transport(loadConfig(env), `operation-runner/${version} (${component})`));
}

/** A proxy between may have answered with a page of its own. */
function parseJson(call: string, answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    throw new UnreachableError(call, `something else answered: ${answer.slice(0, 200)}`);
  }
}

function describe(verb: string, resource: Resource, target: { namespace?: string | undefined; name?: string }): string {
  const where = [target.namespace, target.name].filter((part) => part !== undefined).join("/");
  return [verb, qualifiedName(resource), where].filter((part) => part !== "").join(" ");
}
