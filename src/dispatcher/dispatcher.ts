import { once } from "node:events";
import type { Logger } from "pino";
import { isPaused } from "../api/applicationInstance.ts";
import { RIGHTS_POLICY } from "../api/crossNamespace.ts";
import { Annotation, Label } from "../api/labels.ts";
import { attemptOf, isTerminal, isVeleroOperation, operations, type Status } from "../api/operation.ts";
import { isAdmitted } from "../api/status.ts";
import { concurrentBackups, VELERO_DEPLOYMENT } from "../api/velero.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { EventRecorder } from "../kube/events.ts";
import { withLease } from "../kube/lease.ts";
import { keyOf } from "../kube/metadata.ts";
import { WorkQueue } from "../kube/queue.ts";
import { qualifiedName } from "../kube/resource.ts";
import type { Deployment } from "../kube/resources.ts";
import { type ActionContext, annotateTarget, carryOut, deleteJob } from "./actions.ts";
import { endOfPause } from "./admission/pauseTarget.ts";
import { decide, decideOrphan } from "./decide.ts";
import type { Capacity } from "./line/line.ts";
import { LiveLine } from "./liveLine.ts";
import { createMetrics } from "./metrics.ts";
import type { Server, ServerParts } from "./server.ts";
import type { Settings } from "./settings.ts";
import { type Caches, openCaches } from "./state/caches.ts";
import { currentWorld } from "./state/currentWorld.ts";
import { indexCaches } from "./state/indexes.ts";
import { isOpen } from "./state/operationState.ts";
import { operationUidOf } from "./state/owners.ts";
import { missingProtection, rightsAskedSince } from "./state/protection.ts";
import type { World } from "./state/world.ts";
import { WritesInFlight } from "./state/writesInFlight.ts";
import { TemplateStore } from "./templates/templateStore.ts";
import { connectTriggers } from "./triggers.ts";

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

const NAME = "operation-dispatcher";
/** The values of Kubernetes' own controllers. */
const LEASE = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
/** A call that began under the Lease must end before another dispatcher can hold the Lease. */
const CALL_TIMEOUT_MS = LEASE.durationMs - LEASE.renewDeadlineMs;
const BACKOFF = { minMs: 250, maxMs: 60_000 };
const CONCURRENCY = 8;
/** The longest time that a timer can wait. A decision that comes too early only sets the timer again. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Prefixes of the queue's keys. Keys of Operations never begin like this: no namespace or name contains a colon. */
const ORPHAN = "job:";
const TARGET = "target:";

/**
 * Admits Operations and makes one Job for each, until the signal aborts. Two dispatchers may run at the same time: only the one
 * that holds the Lease acts, and the other is ready to take over.
 *
 * @throws LeaseLostError if another dispatcher acts now, or if the API server was silent for too long: the process must start again
 */
export async function runDispatcher(options: DispatcherOptions): Promise<void> {
  const { client, clock, identity, logger, settings, signal } = options;
  const caches = openCaches(client, settings, { clock, logger });
  const indexes = indexCaches(caches);
  const writesInFlight = new WritesInFlight((operation) => line.touch(keyOf(operation)));
  const templates = new TemplateStore(caches.templates, settings, logger);
  const capacity = () =>
    veleroCapacity(settings, caches.veleroServer.get(`${settings.veleroNamespace}/${VELERO_DEPLOYMENT}`));
  const line: LiveLine = new LiveLine({
    limits: settings.limits,
    capacity: capacity(),
    world: () => world,
    operation: (key) => {
      const operation = caches.operations.get(key);
      return operation && writesInFlight.current(operation);
    },
    operationByUid: (uid) => world.operation(uid),
    decide: (key, how) => queue.add(key, how),
    clock,
  });
  caches.veleroServer.onChange(() => {
    line.capacity = capacity();
  });
  const world: World = currentWorld({
    ...options,
    caches,
    indexes,
    writesInFlight,
    templates,
    placeOf: (operation) => line.placeOf(operation),
  });
  const protection = () =>
    missingProtection(
      caches.operationCrd.get(qualifiedName(operations)),
      rightsAskedSince(caches.rightsPolicy.get(RIGHTS_POLICY), caches.rightsBinding.get(RIGHTS_POLICY)),
    );
  const queue = new WorkQueue({ work, concurrency: CONCURRENCY, backoff: BACKOFF, clock, logger });
  connectTriggers({
    caches,
    indexes,
    templates,
    line,
    // Decisions on Operations under way come before those that only update a position in the queue.
    decide: (key) => queue.add(key, { urgent: isUnderWay(caches.operations.get(key)?.status) }),
    wakeOrphan: (name) => queue.add(ORPHAN + name),
    wakeTarget: (key) => queue.add(TARGET + key),
  });
  const recorder = new EventRecorder(client, logger, { component: NAME, instance: identity });
  const announcing = new Set<Promise<void>>();
  /** The UIDs of the targets of which the log says already that they stay paused. */
  const reportedPauses = new Set<string>();
  const context: ActionContext = {
    client,
    clock,
    writesInFlight,
    templates,
    announce: (operation, announcement) => {
      const written = recorder.announce(operation, announcement).finally(() => announcing.delete(written));
      announcing.add(written);
    },
    jobNamespace: settings.jobNamespace,
    callTimeoutMs: CALL_TIMEOUT_MS,
    onNoRoom: (operation) => line.setAside(operation),
  };

  async function work(key: string): Promise<void> {
    if (key.startsWith(ORPHAN)) return await workOrphan(key.slice(ORPHAN.length));
    if (key.startsWith(TARGET)) return await workTarget(key.slice(TARGET.length));
    const found = caches.operations.get(key);
    // Its approval or its right may have ended by the clock alone.
    if (found !== undefined && isVeleroOperation(found) && isOpen(found)) line.readmit(found);
    while (!line.isUpToDate) await line.judge();
    const operation = caches.operations.get(key);
    if (operation === undefined || !isVeleroOperation(operation) || writesInFlight.awaitsEcho(operation)) return;
    const { action, lookAgainAt } = decide(operation, world);
    if (lookAgainAt !== undefined) {
      queue.add(key, { afterMs: Math.min(MAX_TIMER_MS, Math.max(0, lookAgainAt.getTime() - clock.now().getTime())) });
    }
    // A write without an answer that is no longer wanted does not count any more.
    if (action === undefined) return writesInFlight.drop(operation);
    const { uid } = operation.metadata;
    try {
      await carryOut(context, operation, action, logger.child({ operation: key, uid, attempt: attemptOf(operation) }));
    } catch (error) {
      line.setAside(operation);
      throw error;
    }
  }

  async function workOrphan(name: string): Promise<void> {
    const job = world.job(name);
    const uid = job && operationUidOf(job);
    // Not a Job of ours, or its Operation exists; or the Operation may exist in a namespace that is not watched.
    if (job === undefined || uid === undefined || indexes.operationsByUid.get(uid).length > 0) return;
    if (!isWatched(job.metadata.labels?.[Label.operationNamespace], settings)) return;
    const action = decideOrphan(job, world);
    if (action !== undefined) await deleteJob(context, action, logger);
  }

  async function workTarget(key: string): Promise<void> {
    const target = caches.targets.get(key);
    if (target === undefined || !isPaused(target)) return;
    if (!settings.pauseTarget && !reportedPauses.has(target.metadata.uid)) {
      reportedPauses.add(target.metadata.uid);
      logger.warn(
        { target: key },
        `the target is still paused (${Annotation.pausedBy}) although the setting pauseTarget is off: the dispatcher will not end the pause`,
      );
    }
    const action = endOfPause(target, world);
    if (action !== undefined) await annotateTarget(context, action, logger);
  }

  let role: "starting" | "standby" | "leading" = "starting";
  const server = await options.serve({
    metrics: createMetrics({
      operations: caches.operations,
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
      { ...LEASE, namespace: settings.jobNamespace, name: NAME, identity, signal, clock, logger },
      async (term) => {
        role = "leading";
        await Promise.all([queue.run(term), line.run(term)]);
        await Promise.all(announcing);
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

/** What Velero works on at once, and one that is next. Of Restores it does one at a time. docs/velero-facts.md#veleros-own-queue. */
function veleroCapacity({ limits }: Settings, server: Deployment | undefined): Capacity {
  const backups =
    limits.concurrentBackups > 0 ? limits.concurrentBackups : ((server && concurrentBackups(server)) ?? 1);
  return { Backup: backups + 1, Restore: 2 };
}

function isUnderWay(status: Status | undefined): boolean {
  return isAdmitted(status) && !isTerminal(status?.phase);
}

/** Whether the dispatcher watches the Operations of this namespace. An unknown namespace counts as not watched. */
function isWatched(namespace: string | undefined, { namespaces }: Settings): boolean {
  return namespaces.length === 0 || (namespace !== undefined && namespaces.includes(namespace));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
