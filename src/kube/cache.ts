import type { Logger } from "pino";
import type { KubeClient } from "./client.ts";
import { type KubeObject, keyOf } from "./metadata.ts";
import type { Resource } from "./resource.ts";
import { type WatchOptions, watchResource } from "./watch.ts";

/**
 * Is called for a change once the cache shows it: `previous` is undefined for a new object, `current` for a deleted
 * one.
 */
export type ChangeListener<T> = (key: string, current: T | undefined, previous: T | undefined) => void;

/** The selected objects of one kind, as the API server last reported them. */
export class ResourceCache<T extends KubeObject> {
  /** Resolves once everything that existed is in the cache. */
  readonly synced: Promise<void>;
  readonly #client: KubeClient;
  readonly #resource: Resource<T>;
  readonly #options: Omit<WatchOptions, "signal" | "onContact" | "from">;
  readonly #logger: Logger;
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<ChangeListener<T>>();
  readonly #relistListeners = new Set<() => void>();
  readonly #markSynced: () => void;
  #lastContact: number | undefined;

  constructor(client: KubeClient, resource: Resource<T>, options: Omit<WatchOptions, "signal" | "onContact" | "from">) {
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#logger = options.logger;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#markSynced = resolve;
  }

  /** The object of that key (`namespace/name`, or the name alone). */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /**
   * When the API server last sent anything on this watch, in the clock's monotonic milliseconds; undefined before that.
   * Older than MAX_SILENCE_MS (watch.ts) means that the cache may be stale.
   */
  get lastContact(): number | undefined {
    return this.#lastContact;
  }

  /** Calls the listener on every change from now on. An error that it throws is logged, and stops nothing. */
  onChange(listener: ChangeListener<T>): void {
    this.#listeners.add(listener);
  }

  /**
   * Calls the listener after everything was listed again: objects that came and went in the meantime were never
   * reported.
   */
  onRelist(listener: () => void): void {
    this.#relistListeners.add(listener);
  }

  /**
   * Keeps the cache up to date until the signal aborts.
   *
   * @throws the signal's reason, and nothing else
   */
  async run(signal: AbortSignal): Promise<never> {
    const onContact = () => {
      this.#lastContact = this.#options.clock.monotonic();
    };
    const watch = watchResource(this.#client, this.#resource, { ...this.#options, signal, onContact });
    for (;;) {
      const { value: event } = await watch.next();
      if (event.type === "synced") {
        this.#markSynced();
        for (const listener of this.#relistListeners) listener();
        continue;
      }
      const key = keyOf(event.object);
      const previous = this.#objects.get(key);
      if (event.type === "deleted") this.#objects.delete(key);
      else this.#objects.set(key, event.object);
      this.#notify(key, this.#objects.get(key), previous);
    }
  }

  #notify(...change: Parameters<ChangeListener<T>>): void {
    for (const listener of this.#listeners) {
      try {
        listener(...change);
      } catch (error) {
        this.#logger.error({ err: error, object: change[0] }, "a listener failed on a change");
      }
    }
  }
}
