import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { KubeClient } from "./client.ts";
import { cutToBytes } from "./cut.ts";
import { isAlreadyExists } from "./errors.ts";
import type { KubeObject } from "./metadata.ts";
import { events } from "./resources.ts";

/** The content of an Event about an object. */
export interface Announcement {
  readonly type: "Normal" | "Warning";
  /** CamelCase, as in conditions. */
  readonly reason: string;
  /** What was done or tried when it happened, CamelCase: `RunJob`. */
  readonly action: string;
  /** The other object that it is about: the Job, or Velero's object. */
  readonly related?: ObjectReference | undefined;
  readonly message: string;
  /** When it happened, RFC 3339. Two announcements with the same moment, reason and message make one Event. */
  readonly at: string;
}

/** Names an object, as Events do. */
export interface ObjectReference {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly uid?: string | undefined;
}

/** The API server refuses longer messages. */
const MAX_MESSAGE_BYTES = 1024;
/** A thousand at once would each open a connection, and everything else would wait behind them. */
const AT_ONCE = 2;
/** As many may wait; what comes then is not written: statuses say the same. */
const MAX_WAITING = 1_000;

/**
 * Writes Events about objects, for `kubectl describe` and `kubectl events`. As core/v1, which the API server also serves as
 * events.k8s.io/v1: in that form kubectl would show no time and no source. docs/contract.md#events.
 */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #component: string;
  readonly #controller: string;
  readonly #instance: string;
  readonly #waiting: (() => void)[] = [];
  #writing = 0;

  /**
   * @param component shown as the source: `operation-dispatcher`
   * @param controller its name among all controllers, qualified: `ops.vworkspace.io/dispatcher`
   * @param instance the name of the pod in which the component runs
   */
  constructor(
    client: KubeClient,
    logger: Logger,
    { component, controller, instance }: { component: string; controller: string; instance: string },
  ) {
    this.#client = client;
    this.#logger = logger;
    this.#component = component;
    this.#controller = controller;
    this.#instance = instance;
  }

  /** Writes one Event, when its turn comes. Never throws: nothing depends on an Event, so a failure is only logged. */
  async announce(object: KubeObject, announcement: Announcement): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) {
      const { kind, metadata } = object;
      const about = { reason: announcement.reason, object: `${kind} ${metadata.namespace}/${metadata.name}` };
      this.#logger.debug(about, "too many Events wait to be written, leaving this one out");
      return;
    }
    if (this.#writing >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#writing += 1;
    try {
      await this.#write(object, announcement);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#writing -= 1;
      // Its turn is handed on.
      else next();
    }
  }

  async #write(object: KubeObject, { type, reason, action, related, message, at }: Announcement): Promise<void> {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    // The name depends only on the content, so that after a restart, or with a second writer, there is still one Event.
    const hash = createHash("sha256")
      .update(JSON.stringify([uid, reason, message, at]))
      .digest("hex")
      .slice(0, 16);
    const { apiVersion, kind } = object;
    const event = {
      metadata: { namespace: namespace ?? "default", name: `${name}.${hash}` },
      involvedObject: { apiVersion, kind, name, namespace, uid, resourceVersion },
      ...(related !== undefined && { related }),
      type,
      reason,
      action,
      message: cutToBytes(message, MAX_MESSAGE_BYTES),
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component: this.#component },
      reportingComponent: this.#controller,
      reportingInstance: this.#instance,
    };
    try {
      await this.#client.create(events, event);
    } catch (error) {
      if (isAlreadyExists(error)) return;
      this.#logger.warn({ err: error, reason, object: `${kind} ${namespace}/${name}` }, "could not write an Event");
    }
  }
}
