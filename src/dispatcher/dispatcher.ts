import { once } from "node:events";
import type { Logger } from "pino";
import { RIGHTS_POLICY } from "../api/crossNamespace.ts";
import { DISPATCHER_NAME } from "../api/names.ts";
import { isTerminal, operations, type Status, type VeleroOperation } from "../api/operation.ts";
import { isAdmitted } from "../api/status.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { EventRecorder } from "../kube/events.ts";
import { withLease } from "../kube/lease.ts";
import { keyOf } from "../kube/metadata.ts";
import { WorkQueue } from "../kube/queue.ts";
import { qualifiedName } from "../kube/resource.ts";
import type { ActionContext } from "./actions.ts";
import { type LiveLine, openLine } from "./liveLine.ts";
import { createMetrics } from "./metrics.ts";
import { retain } from "./retention.ts";
import type { Server, ServerParts } from "./server.ts";
import type { Settings } from "./settings.ts";
import { type Caches, openCaches } from "./state/caches.ts";
import { currentWorld } from "./state/currentWorld.ts";
import { indexCaches } from "./state/indexes.ts";
import { missingProtection, rightsPolicySince } from "./state/protection.ts";
import type { World } from "./state/world.ts";
import { WritesInFlight } from "./state/writesInFlight.ts";
import { TemplateStore } from "./templates/templateStore.ts";
import { connectTriggers } from "./triggers.ts";
import { orphanKey, targetKey, work } from "./work.ts";

export interface DispatcherOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: Settings;
  readonly approvalKey: string | undefined;
  /** Whether the settings as they are written down now can be used. */
  readonly settingsValid: () => boolean;
  /** The identity of this process; no other that lives at the same time may have it. */
  readonly identity: string;
  /** Opens the server for metrics and health. */
  readonly serve: (parts: Omit<ServerParts, "listen">) => Promise<Server>;
  /** Stops the dispatcher: it finishes the writes under way and gives the Lease back. */
  readonly signal: AbortSignal;
}

/** The values of Kubernetes' own controllers. */
const LEASE = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
/** A call that began under the Lease must end before another dispatcher can hold the Lease. */
const CALL_TIMEOUT_MS = LEASE.durationMs - LEASE.renewDeadlineMs;
/** The pause after work on an Operation that failed, such as a call to an API server in trouble; the queue never gives up. */
const BACKOFF = { minMs: 250, maxMs: 60_000 };
const CONCURRENCY = 8;

/**
 * Admits Operations and makes one Job for each, until the signal aborts. Two dispatchers may run at the same time: only the one
 * that holds the Lease acts, and the other is ready to take over.
 *
 * @throws LeaseLostError if another dispatcher acts now, or if the API server was silent for too long: the process must start again
 */
export async function runDispatcher(options: DispatcherOptions): Promise<void> {
  const { client, clock, identity, logger, settings, signal } = options;
  const { caches, templates, line, queue, announced } = assemble(options);
  const protection = () =>
    missingProtection(
      caches.operationCrd.get(qualifiedName(operations)),
      rightsPolicySince(caches.rightsPolicy.get(RIGHTS_POLICY), caches.rightsBinding.get(RIGHTS_POLICY)),
    );
  let role: "starting" | "standby" | "leading" = "starting";
  const server = await options.serve({
    metrics: createMetrics({
      operations: caches.operations,
      targets: caches.targets,
      locations: caches.locations,
      client,
      caches,
      queue,
      templates,
      missingProtection: protection,
      isLeading: () => role === "leading",
      settingsValid: options.settingsValid,
    }),
    problems: () => [
      ...(role === "starting" ? ["starting: the dispatcher has not read everything that exists yet"] : []),
      ...caches.stale().map((kind) => `stale: the watch of ${kind} has been silent for too long`),
    ],
  });
  logger.info({ url: server.url }, "serving metrics and health");

  async function lead(): Promise<void> {
    await Promise.race([caches.synced, aborted(signal)]);
    signal.throwIfAborted();
    role = "standby";
    templates.report();
    reportProtection(caches, protection, logger);
    await withLease(
      client,
      { ...LEASE, namespace: settings.jobNamespace, name: DISPATCHER_NAME, identity, signal, clock, logger },
      async (term) => {
        role = "leading";
        const { retention } = settings;
        const retained = {
          client,
          operations: caches.operations,
          retention,
          clock,
          logger,
          callTimeoutMs: CALL_TIMEOUT_MS,
        };
        await Promise.all([queue.run(term), line.run(term), retain(retained, term)]);
        await announced();
      },
    );
  }

  const watching = new AbortController();
  try {
    // The watches go on after the signal, because the writes under way may still need them.
    await Promise.race([caches.run(watching.signal), lead()]);
  } catch (error) {
    if (!(signal.aborted && error === signal.reason)) throw error;
  } finally {
    watching.abort();
    await server.close();
  }
}

/** Opens what the dispatcher reads, and connects it with the queue of what it works on. Nothing runs yet. */
function assemble(options: DispatcherOptions) {
  const { client, clock, identity, logger, settings } = options;
  const caches = openCaches(client, settings, { clock, logger });
  const indexes = indexCaches(caches);
  const templates = new TemplateStore(caches.templates, settings, logger);
  const writesInFlight = new WritesInFlight((operation) => line.touch(keyOf(operation)));
  const queue = new WorkQueue({
    work: (key) => work(parts, key),
    concurrency: CONCURRENCY,
    backoff: BACKOFF,
    clock,
    logger,
  });
  const line: LiveLine = openLine({ caches, writesInFlight, world: () => world, queue, settings, clock, logger });
  const placeOf = (operation: VeleroOperation) => line.placeOf(operation);
  const world: World = currentWorld({ ...options, caches, indexes, writesInFlight, templates, placeOf });
  const { announce, announced } = announcer(
    new EventRecorder(client, logger, {
      component: DISPATCHER_NAME,
      controller: "ops.vworkspace.io/dispatcher",
      instance: identity,
    }),
  );
  const context: ActionContext = {
    client,
    clock,
    writesInFlight,
    templates,
    announce,
    jobNamespace: settings.jobNamespace,
    callTimeoutMs: CALL_TIMEOUT_MS,
    onNotWritten: (operation) => line.setAside(operation),
  };
  const reportedPauses = new Set<string>();
  const parts = {
    caches,
    indexes,
    line,
    world,
    writesInFlight,
    queue,
    context,
    settings,
    clock,
    logger,
    reportedPauses,
  };
  connectTriggers({
    caches,
    indexes,
    templates,
    line,
    // Decisions on Operations under way come before those that only update a position in the queue.
    decide: (key) => queue.add(key, { urgent: isUnderWay(caches.operations.get(key)?.status) }),
    wakeOrphan: (name) => queue.add(orphanKey(name)),
    wakeTarget: (key) => queue.add(targetKey(key)),
  });
  return { caches, templates, line, queue, announced };
}

/** Writes Events beside the work; `announced` resolves once those that were begun are written. */
function announcer(recorder: EventRecorder): Pick<ActionContext, "announce"> & { announced: () => Promise<unknown> } {
  const writing = new Set<Promise<void>>();
  return {
    announce: (operation, announcement) => {
      const written = recorder.announce(operation, announcement).finally(() => writing.delete(written));
      writing.add(written);
    },
    announced: () => Promise.all(writing),
  };
}

/** Logs which of the rules that keep tenants apart are missing in this cluster: now, and at every change. */
function reportProtection(caches: Caches, missing: () => string[], logger: Logger): void {
  let reported: string | undefined;
  const report = () => {
    const found = missing();
    if (found.join() === reported) return;
    if (found.length > 0) logger.error({ missing: found }, "rules that keep tenants apart are missing in this cluster");
    else if (reported !== undefined) logger.info("the rules that keep tenants apart are complete again");
    reported = found.join();
  };
  report();
  for (const store of [caches.operationCrd, caches.rightsPolicy, caches.rightsBinding]) store.onChange(report);
}

function isUnderWay(status: Status | undefined): boolean {
  return isAdmitted(status) && !isTerminal(status?.phase);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
