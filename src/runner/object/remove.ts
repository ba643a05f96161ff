import { restores, type VeleroObject } from "../../api/velero.ts";
import { isConflict, isNotFound } from "../../kube/errors.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "./veleroObject.ts";

/**
 * Deletes an object by a plain delete: this very one, never another that has its name by now.
 *
 * @param unchanged only in exactly the state that was read; whoever decided this reads again and sees whether it is gone
 * @throws as KubeClient.delete, but for an object that is gone, or is no longer what it was
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

/** How long a deletion is waited for before the Operation is looked at again, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Waits a while until objects that were deleted are gone: Velero's finalizer holds a Restore for as long as it likes. */
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
