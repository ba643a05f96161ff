import * as z from "zod";
import type { Clock } from "../../../../src/kube/clock.ts";
import { UnreachableError } from "../../../../src/kube/errors.ts";
import { type KubeObject, kubeObjectSchema } from "../../../../src/kube/metadata.ts";
import type { ApiRequest, Transport } from "../../../../src/kube/transport.ts";
import { status } from "../../kube/loopback.ts";
import { type FakeApiServer, isRecord, refusal } from "./fakeApiServer.ts";

/** What befalls the next write of a process. */
export const FAULTS = ["killedAfter", "killedBefore", "answerLost", "conflict", "refused"] as const;
export type Fault = (typeof FAULTS)[number];

const deletionSchema = z.object({
  preconditions: z.object({ uid: z.string().optional(), resourceVersion: z.string().optional() }).optional(),
});
const manifestSchema = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string().optional(),
    generateName: z.string().optional(),
    namespace: z.string().optional(),
  }),
});

/** Upkeep of which nobody's outcome depends: no fault is wasted on it. */
const UPKEEP: ReadonlySet<string> = new Set(["leases", "events", "downloadrequests"]);

/** Made once: a stack costs more than all else that a history does. */
const OVER = new Error("over");

interface Route {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/**
 * One process' connection to the {@link FakeApiServer}, in place of HTTP: calls take their time on the way there and back,
 * answers get lost, watches lag and break, and a process that is killed at a call never hears of anything again.
 */
export class FakeConnection implements Pick<Transport, "text" | "lines"> {
  /** What befalls the next writes, in order. */
  readonly faults: Fault[] = [];
  /** Until when watches tell nothing, in the clock's monotonic milliseconds: those of each kind, by its plural. */
  readonly silentUntil = new Map<string, number>();
  /** What it was last told of each Velero object. */
  readonly told = new Map<string, KubeObject | undefined>();
  /** Calls that are on their way, there or back. */
  readonly underWay = new Map<ApiRequest, Route>();
  readonly actor: string;
  readonly clock: Clock;
  readonly #server: FakeApiServer;
  readonly #latencyMs: () => number;
  readonly #onKilled: () => void;
  #breaks = new AbortController();
  #dead = false;

  constructor(server: FakeApiServer, clock: Clock, actor: string, latencyMs: () => number, onKilled: () => void) {
    this.#server = server;
    this.actor = actor;
    this.#latencyMs = latencyMs;
    this.#onKilled = onKilled;
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: (ms, signal) => this.#whileAlive(clock.sleep(ms, signal)),
    };
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** As SIGKILL: nothing more comes from this process, and it learns nothing more. */
  kill(): void {
    this.#dead = true;
    this.underWay.clear();
  }

  /** Breaks all watches; they can be resumed. */
  cut(): void {
    const old = this.#breaks;
    this.#breaks = new AbortController();
    old.abort(new UnreachableError("watch", "cut"));
  }

  async text(request: ApiRequest): Promise<string> {
    const route = routeOf(request.path);
    this.underWay.set(request, route);
    try {
      await this.#travel(request.signal);
      const fault = request.method === "GET" || UPKEEP.has(route.plural) ? undefined : this.faults.shift();
      if (fault === "refused") throw refusal(503, "ServiceUnavailable", "the server is overloaded");
      if (fault === "killedBefore") this.#die();
      if (fault === "conflict") this.#overtake(route);
      const answer = this.#dead ? "" : this.#answer(request, route);
      if (fault === "killedAfter") this.#die();
      if (fault === "answerLost") throw new UnreachableError(request.call, "lost");
      await this.#travel(request.signal);
      return answer;
    } finally {
      this.underWay.delete(request);
    }
  }

  async *lines(request: ApiRequest, onContact: () => void): AsyncGenerator<unknown> {
    await this.#travel(request.signal);
    const { plural, namespace } = routeOf(request.path);
    const { query = {} } = request;
    let position = Number(query.resourceVersion);
    if (this.#server.all(plural) === undefined) throw refusal(404, "NotFound", `no kind ${plural}`);
    onContact();
    if (position < this.#server.compactedBefore) {
      yield { type: "ERROR", object: status(410, "Expired", "too old resource version") };
      return;
    }
    const until = this.clock.monotonic() + Number(query.timeoutSeconds) * 1000;
    const broken = this.#breaks.signal;
    const events = this.#server.eventsOf(plural);
    let next = events.findIndex(({ version }) => version > position);
    if (next < 0) next = events.length;
    for (;;) {
      if (this.#dead) await new Promise(() => undefined);
      request.signal.throwIfAborted();
      broken.throwIfAborted();
      const now = this.clock.monotonic();
      if (position < this.#server.compactedBefore) return;
      const event = events[next];
      const silentUntil = this.silentUntil.get(plural) ?? 0;
      if (event !== undefined && now >= silentUntil) {
        next += 1;
        position = event.version;
        if (!matches(event.object, namespace, query)) continue;
        await this.#travel(request.signal);
        onContact();
        yield { type: event.type, object: JSON.parse(JSON.stringify(event.object)) };
      } else if (now >= until) {
        return;
      } else {
        await this.#nextChange(
          plural,
          request.signal,
          broken,
          Math.min(until, Math.max(now + 1, event ? silentUntil : until)) - now,
        );
      }
    }
  }

  #die(): void {
    this.kill();
    this.#onKilled();
  }

  /** Waits for a change, or the end of patience. */
  async #nextChange(plural: string, signal: AbortSignal, broken: AbortSignal, ms: number): Promise<void> {
    const enough = new AbortController();
    const over = () => enough.abort(OVER);
    signal.addEventListener("abort", over, { once: true });
    broken.addEventListener("abort", over, { once: true });
    const stop = this.#server.nextEvent(plural, over);
    try {
      await this.clock.sleep(ms, enough.signal).catch(() => undefined);
    } finally {
      stop();
      signal.removeEventListener("abort", over);
      broken.removeEventListener("abort", over);
    }
  }

  async #travel(signal: AbortSignal): Promise<void> {
    const ms = this.#latencyMs();
    if (ms > 0) await this.clock.sleep(ms, signal);
    if (this.#dead) await new Promise(() => undefined);
    signal.throwIfAborted();
  }

  async #whileAlive(sleep: Promise<void>): Promise<void> {
    try {
      await sleep;
    } finally {
      if (this.#dead) await new Promise(() => undefined);
    }
  }

  /** Somebody else writes the object first. */
  #overtake({ plural, namespace, name }: Route): void {
    if (name === undefined || this.#server.find(plural, { namespace, name }) === undefined) return;
    const labels = { touched: String(this.#server.version) };
    this.#server.patch("somebody", plural, { namespace, name }, { metadata: { labels } });
  }

  #answer({ method, query = {}, body }: ApiRequest, route: Route): string {
    const { plural, namespace, name } = route;
    const target = { namespace, name: name ?? "" };
    switch (method) {
      case "GET": {
        if (name === undefined) return JSON.stringify(this.#list(route, query));
        const found = this.#server.find(plural, target);
        this.told.set(`${plural}/${name}`, found);
        return JSON.stringify(found ?? this.#server.get(plural, target));
      }
      case "POST": {
        const { kind, ...manifest } = manifestSchema.parse(body);
        return JSON.stringify(
          this.#server.create(this.actor, { ...route, kind }, manifest, query.fieldManager?.toString()),
        );
      }
      case "PUT": {
        const subresource = route.subresource === "status" ? "status" : undefined;
        return JSON.stringify(this.#server.replace(this.actor, plural, kubeObjectSchema.parse(body), subresource));
      }
      case "PATCH":
        return JSON.stringify(
          this.#server.patch(this.actor, plural, target, z.record(z.string(), z.unknown()).parse(body)),
        );
      case "DELETE":
        this.#server.delete(this.actor, plural, target, deletionSchema.parse(body).preconditions);
        return JSON.stringify(status(200, "", ""));
      default:
        throw new Error(`the fake API server knows no ${method}`);
    }
  }

  #list({ plural, namespace }: Route, query: NonNullable<ApiRequest["query"]>): unknown {
    const all = this.#server.all(plural);
    if (all === undefined) throw refusal(404, "NotFound", `no kind ${plural}`);
    const items = all.filter((object) => matches(object, namespace, query));
    return { metadata: { resourceVersion: String(this.#server.version) }, items };
  }
}

function routeOf(path: string): Route {
  const [root, ...rest] = path.split("/").slice(1).map(decodeURIComponent);
  const group = root === "apis" ? (rest.shift() ?? "") : "";
  const [version = "", ...parts] = rest;
  const namespace = parts[0] === "namespaces" && parts.length > 2 ? parts[1] : undefined;
  const [plural = "", name, subresource] = namespace === undefined ? parts : parts.slice(2);
  return { group, version, plural, namespace, name, subresource };
}

/** Selectors as far as they are used: `key`, `key=value`, and by field, each also several. */
function matches(object: KubeObject, namespace: string | undefined, query: NonNullable<ApiRequest["query"]>): boolean {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  const { labels = {} } = object.metadata;
  const terms = (selector: unknown) =>
    String(selector ?? "")
      .split(",")
      .filter((term) => term !== "");
  return (
    terms(query.labelSelector).every((term) => {
      const [key = "", value] = term.split("=");
      return value === undefined ? labels[key] !== undefined : labels[key] === value;
    }) &&
    terms(query.fieldSelector).every((term) => {
      const [path = "", value] = term.split("=");
      return path.split(".").reduce<unknown>((part, key) => (isRecord(part) ? part[key] : undefined), object) === value;
    })
  );
}
