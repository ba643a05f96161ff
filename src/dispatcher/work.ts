import type { Logger } from "pino";
import { isPaused } from "../api/applicationInstance.ts";
import { Annotation, Label } from "../api/labels.ts";
import { attemptOf, isVeleroOperation } from "../api/operation.ts";
import type { Clock } from "../kube/clock.ts";
import type { WorkQueue } from "../kube/queue.ts";
import { type ActionContext, annotateTarget, carryOut, deleteJob } from "./actions.ts";
import { endOfPause } from "./admission/pauseTarget.ts";
import { decide, decideOrphan } from "./decide.ts";
import type { LiveLine } from "./liveLine.ts";
import type { Settings } from "./settings.ts";
import type { Caches } from "./state/caches.ts";
import type { Indexes } from "./state/indexes.ts";
import { isOpen } from "./state/operationState.ts";
import { operationUidOf } from "./state/owners.ts";
import type { World } from "./state/world.ts";
import type { WritesInFlight } from "./state/writesInFlight.ts";

/** The longest time that a timer can wait. A decision that comes too early only sets the timer again. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Prefixes of the queue's keys. Keys of Operations never begin like this: no namespace or name contains a colon. */
const ORPHAN = "job:";
const TARGET = "target:";

/** The queue's key for a look at a Job, by name, whose Operation is not there. */
export function orphanKey(jobName: string): string {
  return ORPHAN + jobName;
}

/** The queue's key for a look at a target, `namespace/name`, that carries a pause of the dispatcher's. */
export function targetKey(target: string): string {
  return TARGET + target;
}

export interface WorkParts {
  readonly caches: Caches;
  readonly indexes: Indexes;
  readonly line: LiveLine;
  readonly world: World;
  readonly writesInFlight: WritesInFlight;
  readonly queue: Pick<WorkQueue, "add">;
  readonly context: ActionContext;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The UIDs of the targets of which the log says already that they stay paused. */
  readonly reportedPauses: Set<string>;
}

/**
 * Works on one key of the queue: decides about an Operation (its key is `namespace/name`), an orphan or a target, and carries
 * out what was decided.
 *
 * @throws ApiError, UnreachableError: the queue tries again later
 */
export async function work(parts: WorkParts, key: string): Promise<void> {
  if (key.startsWith(ORPHAN)) return await workOnOrphan(parts, key.slice(ORPHAN.length));
  if (key.startsWith(TARGET)) return await workOnTarget(parts, key.slice(TARGET.length));
  await workOnOperation(parts, key);
}

async function workOnOperation(
  { caches, line, world, writesInFlight, queue, context, clock, logger }: WorkParts,
  key: string,
): Promise<void> {
  const found = caches.operations.get(key);
  // The clock alone may have changed what the checks say: an approval or a right has ended.
  if (found !== undefined && isVeleroOperation(found) && isOpen(found)) line.judgeAnew(found);
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

async function workOnOrphan({ world, indexes, settings, context, logger }: WorkParts, name: string): Promise<void> {
  const job = world.job(name);
  const uid = job && operationUidOf(job);
  // Not a Job of ours, or its Operation exists; or the Operation may exist in a namespace that is not watched.
  if (job === undefined || uid === undefined || indexes.operationsByUid.get(uid).length > 0) return;
  if (!isWatched(job.metadata.labels?.[Label.operationNamespace], settings)) return;
  const action = decideOrphan(job, world);
  if (action !== undefined) await deleteJob(context, action, logger);
}

async function workOnTarget(
  { caches, line, world, settings, reportedPauses, context, logger }: WorkParts,
  key: string,
): Promise<void> {
  const target = caches.targets.get(key);
  if (target === undefined || !isPaused(target)) return;
  if (!settings.pauseTarget && !reportedPauses.has(target.metadata.uid)) {
    reportedPauses.add(target.metadata.uid);
    logger.warn(
      { target: key },
      `the target is still paused (${Annotation.pausedBy}) although the setting pauseTarget is off: the dispatcher will not end the pause`,
    );
  }
  while (!line.isUpToDate) await line.judge();
  const action = endOfPause(target, world);
  if (action !== undefined) await annotateTarget(context, action, logger);
}

/** Whether the dispatcher watches the Operations of this namespace. An unknown namespace counts as not watched. */
function isWatched(namespace: string | undefined, { namespaces }: Settings): boolean {
  return namespaces.length === 0 || (namespace !== undefined && namespaces.includes(namespace));
}
