import { isConflict, isNotFound } from "../kube/errors.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { retry } from "../kube/retry.ts";
import type { RunnerContext } from "./context.ts";

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
