import { restores, type VeleroObject } from "../../api/velero.ts";
import { isConflict, isNotFound } from "../../kube/errors.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "./veleroObject.ts";

/**
 * Deletes exactly this object by a plain delete, never another one that has its name by now.
 *
 * @param unchanged delete it only if it has not changed since it was read; the caller reads it again to see the outcome
 * @throws as KubeClient.delete, except when the object is gone or has changed
 */
export async function remove(
  context: RunnerContext,
  resource: Resource,
  object: KubeObject,
  unchanged: boolean,
): Promise<void> {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  const options = { signal: context.signal, preconditions: unchanged ? { uid, resourceVersion } : { uid } };
  try {
    await retry(() => context.client.delete(resource, { namespace, name }, options), context);
    context.logger.info({ kind: resource.kind, name, objectUid: uid }, "deleted");
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

/** How long a run waits for a deletion before it reads the Operation again, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Waits a while for deleted objects to be gone; says whether they are. Velero's finalizer may hold a Restore for much
 * longer.
 */
export async function areGone(context: RunnerContext, objects: readonly VeleroObject[]): Promise<boolean> {
  const { client, clock, logger } = context;
  const enough = new AbortController();
  const signal = AbortSignal.any([context.signal, enough.signal]);
  const waits = objects.map(({ kind, metadata }) => {
    const isGone = (now: VeleroObject | undefined) => now?.metadata.uid !== metadata.uid;
    const resource = veleroResource(kind === restores.kind ? "Restore" : "Backup");
    return awaitCondition(client, resource, metadata, isGone, { signal, logger, clock });
  });
  const late = clock.sleep(PATIENCE_MS, signal).then(() => false);
  try {
    return await Promise.race([Promise.all(waits).then(() => true), late]);
  } finally {
    enough.abort();
    await Promise.allSettled([...waits, late]);
  }
}
