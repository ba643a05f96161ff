import { EventEmitter, once } from "node:events";
import { pino } from "pino";
import { Label } from "../../src/api/labels.ts";
import { isTerminal, type Operation, operations } from "../../src/api/operation.ts";
import { type Backup, backups, isVeleroTerminal } from "../../src/api/velero.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { type KubeObject, keyOf } from "../../src/kube/metadata.ts";
import type { Resource } from "../../src/kube/resource.ts";
import { type Job, jobs } from "../../src/kube/resources.ts";
import { watchResource } from "../../src/kube/watch.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE } from "../scenario/platform.ts";

type State = "there" | "ended" | "failed";

/** `Operation org-a/b1 ended`; a Backup goes by its name alone, a Job by the Operation that it carries out. */
export type Sighting = `${"Operation" | "Backup" | "Job"} ${string} ${State}`;

/** What one watch tells of the objects of one kind. */
interface View<T> {
  readonly name: (object: T) => string;
  readonly ended: (object: T) => boolean;
  readonly failed: (object: T) => boolean;
}

const operationView: View<Operation> = {
  name: keyOf,
  ended: ({ status }) => isTerminal(status?.phase),
  failed: ({ status }) => status?.phase === "Failed",
};
const backupView: View<Backup> = {
  name: ({ metadata }) => metadata.name,
  ended: ({ status }) => isVeleroTerminal(status?.phase),
  failed: ({ status }) => isVeleroTerminal(status?.phase) && status?.phase !== "Completed",
};
const jobView: View<Job> = {
  name: ({ metadata: { labels = {} } }) => `${labels[Label.operationNamespace]}/${labels[Label.operationName]}`,
  ended: (job) => hasCondition(job, "Complete") || hasCondition(job, "Failed"),
  failed: (job) => hasCondition(job, "Failed"),
};

/** When objects were first seen in each state, by one watch for each kind, on this process's clock (`performance.now`). */
export class Sightings {
  readonly #at = new Map<Sighting, number>();
  readonly #news = new EventEmitter();
  readonly #end = new AbortController();
  readonly #watches: readonly Promise<void>[];

  constructor(client: KubeClient) {
    // A burst waits for many at once.
    this.#news.setMaxListeners(0);
    this.#watches = [
      this.#watch(client, operations, operationView),
      this.#watch(client, backups, backupView, VELERO_NAMESPACE),
      this.#watch(client, jobs, jobView, SYSTEM_NAMESPACE),
    ];
  }

  /** When it was seen; undefined if it was not yet. */
  at(sighting: Sighting): number | undefined {
    return this.#at.get(sighting);
  }

  /** Waits until it is seen. Throws an AbortError when the signal comes first. */
  async until(sighting: Sighting, signal: AbortSignal): Promise<number> {
    const seen = this.#at.get(sighting);
    if (seen !== undefined) return seen;
    await once(this.#news, sighting, { signal });
    return await this.until(sighting, signal);
  }

  async close(): Promise<void> {
    this.#end.abort(new Error("closed"));
    await Promise.allSettled(this.#watches);
  }

  async #watch<T extends KubeObject>(
    client: KubeClient,
    resource: Resource<T>,
    { name, ended, failed }: View<T>,
    namespace?: string,
  ): Promise<void> {
    const options = { signal: this.#end.signal, logger: pino({ enabled: false }), clock: systemClock, namespace };
    for await (const event of watchResource(client, resource, options)) {
      if (event.type === "synced" || event.type === "deleted") continue;
      const { object } = event;
      const see = (state: State) => this.#see(`${resource.kind} ${name(object)} ${state}` as Sighting);
      see("there");
      if (failed(object)) see("failed");
      if (ended(object)) see("ended");
    }
  }

  #see(sighting: Sighting): void {
    if (this.#at.has(sighting)) return;
    this.#at.set(sighting, performance.now());
    this.#news.emit(sighting);
  }
}

function hasCondition({ status }: Job, wanted: string): boolean {
  return (status?.conditions ?? []).some(({ type, status: is }) => type === wanted && is === "True");
}
