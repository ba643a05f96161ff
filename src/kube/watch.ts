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

/** What a watch tells: first all that exists as `added`, then `synced`, then every change. */
export type WatchEvent<T> = Change<T> | { readonly type: "synced" };

export interface WatchOptions extends Selection {
  /** Ends the watch; nothing else does. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Told each time the API server was heard. A healthy watch hears it at least every {@link MAX_SILENCE_MS}. */
  readonly onContact?: (() => void) | undefined;
  /**
   * For custom resources: a kind whose CRD is not installed has no objects. That is a state, not an error, and ends
   * when the CRD appears (which needs the right to get, list and watch that CRD).
   */
  readonly absentIsEmpty?: boolean | undefined;
}

/** The server is asked to end each stream cleanly after so long: the proof that it is still there. */
const STREAM_SECONDS = 30;
/** Longer than this without a word, and the connection is dead whatever TCP thinks. In milliseconds. */
export const MAX_SILENCE_MS = (STREAM_SECONDS + 15) * 1000;

const RETRY: Backoff = { minMs: 250, maxMs: 10_000 };
/** A server that ends quiet streams faster than this is in trouble: it must not be hammered. */
const SHORT_STREAM_MS = 1_000;

/** After so many errors of the server's own at one position it is given up: what it cannot read stays unreadable. */
const MAX_ERRORS_AT_POSITION = 3;

const versionedSchema = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });

/**
 * Lists, then watches, for ever: resumes where it was after lost connections, time-outs and API server restarts, so that
 * no transition is missed; when the server no longer knows that point (410) it lists again and tells the differences,
 * deletions included. Trouble is logged and waited out. Objects that do not parse are logged and skipped: what was known
 * of them stays.
 *
 * @throws the signal's reason, and nothing else
 */
export async function* watchResource<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>, never> {
  const { signal, clock } = options;
  const logger = options.logger.child({ watch: qualifiedName(resource) });
  const known = new Map<string, T>();
  let position: string | undefined;
  let failures = 0;
  /** How often in a row the server answered 500 to this position. */
  let errorsHere = 0;
  /** No stream has worked since the last list: an expired position then means trouble, not age. */
  let justListed = false;

  for (;;) {
    signal.throwIfAborted();
    let openedAt: number | undefined;
    let heard = false;
    const healthy = () => heard || (openedAt !== undefined && clock.monotonic() - openedAt >= SHORT_STREAM_MS);
    try {
      if (position === undefined) {
        const unreadable = new Set<string>();
        const onMalformed = (error: MalformedObjectError) => {
          unreadable.add(error.key);
          logger.error({ err: error }, "skipped an object that does not parse");
        };
        const list = await listOrAbsent(client, resource, { ...options, onMalformed });
        options.onContact?.();
        yield* differences(known, list?.items ?? [], unreadable);
        yield { type: "synced" };
        if (list === undefined) {
          logger.info("kind not installed, waiting for its CRD");
          await established(client, resource, options);
          throw new UnreachableError(`list ${qualifiedName(resource)}`, "its CRD has just been installed");
        }
        position = list.resourceVersion;
        errorsHere = 0;
        justListed = true;
      }
      const onOpen = () => {
        openedAt = clock.monotonic();
      };
      for await (const event of streamUntilSilent(client, resource, position, options, onOpen)) {
        if (event.type === "ERROR") throw new ApiError(`watch ${qualifiedName(resource)}`, undefined, event.object);
        position = versionedSchema.parse(event.object).metadata.resourceVersion;
        heard = true;
        errorsHere = 0;
        justListed = false;
        if (event.type === "BOOKMARK") continue;
        try {
          yield* changes(known, event.type, client.parse(resource, event.object));
        } catch (error) {
          if (!(error instanceof MalformedObjectError)) throw error;
          logger.error({ err: error }, "skipped an object that does not parse");
        }
      }
      if (!healthy())
        throw new UnreachableError(`watch ${qualifiedName(resource)}`, "the server ended the stream at once");
      failures = 0;
      justListed = false;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiError && error.code === 500) errorsHere += 1;
      if (!canResume(error) || errorsHere >= MAX_ERRORS_AT_POSITION) position = undefined;
      failures = healthy() ? 1 : failures + 1;
      const again = position === undefined ? "list again" : "resume";
      const expired = isGone(error) && !justListed;
      if (expired || (failures === 1 && error instanceof UnreachableError)) {
        logger.info({ err: error, again }, "watch interrupted");
        continue;
      }
      const waitMs = backoffDelay(failures, RETRY, Math.random());
      logger.warn({ err: error, again, failures, waitMs }, "watch failed, will try again");
      await clock.sleep(waitMs, signal);
    }
  }
}

/** Whether the position in the history of changes is still good after this error. */
function canResume(error: unknown): boolean {
  return isTransient(error) && !isFromTheFuture(error);
}

/** Lists; nothing when the kind is not installed and that is allowed. */
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

/** One stream, broken off with an UnreachableError when nothing was heard for {@link MAX_SILENCE_MS}. */
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

/** Waits, without polling, until the API server serves this custom resource. */
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
