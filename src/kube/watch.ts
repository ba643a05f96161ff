import type { Logger } from "pino";
import * as z from "zod";
import { type Backoff, backoffDelay } from "./backoff.ts";
import { type Change, changes, differences } from "./changes.ts";
import type { KubeClient, ObjectList, Selection, StreamEvent } from "./client.ts";
import type { Clock } from "./clock.ts";
import {
  ApiError,
  isFromTheFuture,
  isGone,
  isNoSuchKind,
  isTransient,
  MalformedObjectError,
  UnreachableError,
} from "./errors.ts";
import type { KubeObject } from "./metadata.ts";
import { qualifiedName, type Resource } from "./resource.ts";
import { customResourceDefinitions } from "./resources.ts";

/** What a watch yields: first every object that exists, as `added`; then `synced`; then every change. */
export type WatchEvent<T> = Change<T> | { readonly type: "synced" };

export interface WatchOptions<T extends KubeObject = KubeObject> extends Selection {
  /** All that is selected, as somebody read it: the watch begins there, and lists only if that is too long ago. */
  readonly from?: T | undefined;
  /** Ends the watch. Nothing else does. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Is called each time the API server sends something: on a healthy watch, at least every MAX_SILENCE_MS. */
  readonly onContact?: (() => void) | undefined;
  /** Is called each time the watch has failed and is begun again. That the server ends a stream in time is no failure. */
  readonly onRestart?: (() => void) | undefined;
  /**
   * For custom resources: a kind whose CRD is not installed counts as a kind without objects, until the CRD appears.
   * This needs the right to get, list and watch that CRD.
   */
  readonly absentIsEmpty?: boolean | undefined;
}

/** The watch asks the server to end each stream after this time: that proves that the server is still there. */
const STREAM_SECONDS = 30;
/** If the server sends nothing for longer than this, the connection is dead, whatever TCP says. In milliseconds. */
export const MAX_SILENCE_MS = (STREAM_SECONDS + 15) * 1000;

const RETRY: Backoff = { minMs: 250, maxMs: 10_000 };
/**
 * A server that ends quiet streams faster than this is in trouble, and needs pauses between requests. In milliseconds.
 */
const SHORT_STREAM_MS = 1_000;

/**
 * After so many 500s in a row at one resourceVersion, the watch lists again: the server may not be able to read on from
 * there.
 */
const MAX_ERRORS_AT_POSITION = 3;

const versionedSchema = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });

/** Where a watch stands. Each step leads from one state to the next, as in the watcher of kube-rs. */
type State =
  /** No resourceVersion to watch from is known (any more): list. */
  | { readonly kind: "unlisted" }
  /** The kind is not installed: wait for its CRD. */
  | { readonly kind: "absent" }
  /** Everything up to this resourceVersion was listed, and no stream has worked since. */
  | { readonly kind: "listed"; readonly resourceVersion: string }
  /** A stream has brought everything up to this resourceVersion. */
  | { readonly kind: "watching"; readonly resourceVersion: string };

/**
 * Lists, then watches, for ever. After lost connections, time-outs and restarts of the API server it resumes where it was,
 * so that no transition is missed. When the server no longer knows that point (410), it lists again and yields the
 * differences, deletions included. It logs trouble and tries again. Objects that do not parse are logged and skipped; the
 * last state that did parse stays.
 *
 * @throws the signal's reason, and nothing else
 */
export async function* watchResource<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  options: WatchOptions<T>,
): AsyncGenerator<WatchEvent<T>, never> {
  const watcher = new Watcher(client, resource, options);
  if (options.from !== undefined) yield* watcher.begin(options.from);
  for (;;) {
    options.signal.throwIfAborted();
    yield* watcher.step();
  }
}

class Watcher<T extends KubeObject> {
  readonly #client: KubeClient;
  readonly #resource: Resource<T>;
  readonly #options: WatchOptions;
  readonly #logger: Logger;
  /** What the consumer knows, by key. */
  readonly #known = new Map<string, T>();
  #state: State = { kind: "unlisted" };
  /** Failures in a row, without a healthy stream in between. */
  #failures = 0;
  /** How often in a row the server answered 500 at the present resourceVersion. */
  #errorsHere = 0;

  constructor(client: KubeClient, resource: Resource<T>, options: WatchOptions) {
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#logger = options.logger.child({ watch: qualifiedName(resource) });
  }

  /** Takes one object for all that a list would have brought. */
  *begin(object: T): Generator<WatchEvent<T>> {
    yield* changes(this.#known, "ADDED", object);
    yield { type: "synced" };
    this.#state = { kind: "watching", resourceVersion: object.metadata.resourceVersion };
  }

  /** Does what the state asks for, once. Logs every failure, and waits as long as it asks for. */
  async *step(): AsyncGenerator<WatchEvent<T>> {
    const state = this.#state;
    const health = new StreamHealth(this.#options.clock);
    try {
      if (state.kind === "unlisted") yield* this.#list();
      else if (state.kind === "absent") await this.#awaitKind();
      else yield* this.#stream(state.resourceVersion, health);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      await this.#recover(error, health.isHealthy());
    }
  }

  async *#list(): AsyncGenerator<WatchEvent<T>> {
    const unreadable = new Set<string>();
    const onMalformed = (error: MalformedObjectError) => {
      unreadable.add(error.key);
      this.#logSkipped(error);
    };
    const list = await listOrAbsent(this.#client, this.#resource, { ...this.#options, onMalformed });
    this.#options.onContact?.();
    yield* differences(this.#known, list?.items ?? [], unreadable);
    yield { type: "synced" };
    if (list === undefined) {
      this.#state = { kind: "absent" };
      return;
    }
    this.#state = { kind: "listed", resourceVersion: list.resourceVersion };
    this.#errorsHere = 0;
  }

  async #awaitKind(): Promise<never> {
    this.#logger.info("kind not installed, waiting for its CRD");
    await established(this.#client, this.#resource, this.#options);
    // Counts as a failure, so that a server which does not serve the kind yet is not asked in a tight loop.
    throw new UnreachableError(`list ${qualifiedName(this.#resource)}`, "its CRD has just been installed");
  }

  async *#stream(from: string, health: StreamHealth): AsyncGenerator<WatchEvent<T>> {
    const call = `watch ${qualifiedName(this.#resource)}`;
    let resourceVersion = from;
    const onOpen = () => health.opened();
    for await (const event of streamUntilSilent(this.#client, this.#resource, from, this.#options, onOpen)) {
      if (event.type === "ERROR") throw new ApiError(call, undefined, event.object);
      resourceVersion = versionedSchema.parse(event.object).metadata.resourceVersion;
      this.#state = { kind: "watching", resourceVersion };
      this.#errorsHere = 0;
      health.heard();
      if (event.type === "BOOKMARK") continue;
      try {
        yield* changes(this.#known, event.type, this.#client.parse(this.#resource, event.object));
      } catch (error) {
        if (!(error instanceof MalformedObjectError)) throw error;
        this.#logSkipped(error);
      }
    }
    if (!health.isHealthy()) throw new UnreachableError(call, "the server ended the stream at once");
    this.#state = { kind: "watching", resourceVersion };
    this.#failures = 0;
  }

  /** Decides after a failure whether the resourceVersion is still good, and pauses unless the failure is a normal one. */
  async #recover(error: unknown, wasHealthy: boolean): Promise<void> {
    const { clock, signal, onRestart } = this.#options;
    onRestart?.();
    // Right after a list, an expired resourceVersion means trouble; later, it only means that the watch was quiet for long.
    const isExpired = isGone(error) && this.#state.kind === "watching";
    if (error instanceof ApiError && error.code === 500) this.#errorsHere += 1;
    const canGoOn = "resourceVersion" in this.#state && canResume(error) && this.#errorsHere < MAX_ERRORS_AT_POSITION;
    if (!canGoOn) this.#state = { kind: "unlisted" };
    this.#failures = wasHealthy ? 1 : this.#failures + 1;
    const failures = this.#failures;
    const again = canGoOn ? "resume" : "list again";
    if (isExpired || (failures === 1 && error instanceof UnreachableError)) {
      this.#logger.info({ err: error, again }, "watch interrupted");
      return;
    }
    const waitMs = backoffDelay(failures, RETRY, Math.random());
    this.#logger.warn({ err: error, again, failures, waitMs }, "watch failed, will try again");
    await clock.sleep(waitMs, signal);
  }

  #logSkipped(error: MalformedObjectError): void {
    this.#logger.error({ err: error }, "skipped an object that does not parse");
  }
}

/** Whether a stream has worked: it has brought an event, or stayed open for a while. */
class StreamHealth {
  readonly #clock: Clock;
  #openedAt: number | undefined;
  #heard = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  opened(): void {
    this.#openedAt = this.#clock.monotonic();
  }

  heard(): void {
    this.#heard = true;
  }

  isHealthy(): boolean {
    if (this.#heard) return true;
    return this.#openedAt !== undefined && this.#clock.monotonic() - this.#openedAt >= SHORT_STREAM_MS;
  }
}

/** Whether the watch can resume from the same resourceVersion after this error. */
function canResume(error: unknown): boolean {
  return isTransient(error) && !isFromTheFuture(error);
}

/** Lists; undefined if the kind is not installed and the options allow that. */
async function listOrAbsent<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  options: WatchOptions & { onMalformed: (error: MalformedObjectError) => void },
): Promise<ObjectList<T> | undefined> {
  try {
    return await client.list(resource, options, { signal: options.signal, onMalformed: options.onMalformed });
  } catch (error) {
    if (options.absentIsEmpty === true && isNoSuchKind(error)) return undefined;
    throw error;
  }
}

/** One stream. Throws an UnreachableError if the server sends nothing for {@link MAX_SILENCE_MS}. */
async function* streamUntilSilent(
  client: KubeClient,
  resource: Resource,
  resourceVersion: string,
  options: WatchOptions,
  onOpen: () => void,
): AsyncGenerator<StreamEvent> {
  const { clock, signal } = options;
  const controller = new AbortController();
  const giveUp = () => controller.abort(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });

  let heardAt = clock.monotonic();
  let opened = false;
  const onContact = () => {
    heardAt = clock.monotonic();
    if (!opened) onOpen();
    opened = true;
    options.onContact?.();
  };
  const watchdog = async () => {
    for (;;) {
      const left = heardAt + MAX_SILENCE_MS - clock.monotonic();
      if (left <= 0) break;
      await clock.sleep(left, controller.signal);
    }
    const call = `watch ${qualifiedName(resource)}`;
    controller.abort(new UnreachableError(call, `silence for ${MAX_SILENCE_MS / 1000} s`));
  };
  const watching = watchdog().catch(() => undefined);

  try {
    yield* client.stream(resource, options, {
      resourceVersion,
      signal: controller.signal,
      timeoutSeconds: STREAM_SECONDS,
      onContact,
    });
  } finally {
    signal.removeEventListener("abort", giveUp);
    controller.abort();
    await watching;
  }
}

/** Waits, without polling, until the CRD of this resource is established. */
async function established(client: KubeClient, resource: Resource, options: WatchOptions): Promise<void> {
  const { signal, logger, clock, onContact } = options;
  const fieldSelector = `metadata.name=${qualifiedName(resource)}`;
  const watch = { fieldSelector, signal, logger, clock, onContact };
  for await (const event of watchResource(client, customResourceDefinitions, watch)) {
    if (event.type !== "added" && event.type !== "modified") continue;
    const conditions = event.object.status?.conditions ?? [];
    if (conditions.some(({ type, status }) => type === "Established" && status === "True")) return;
  }
}
