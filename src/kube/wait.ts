import type { KubeClient, ObjectName } from "./client.ts";
import type { KubeObject } from "./metadata.ts";
import type { Resource } from "./resource.ts";
import { type WatchOptions, watchResource } from "./watch.ts";

/**
 * Waits, by watch, until one object meets a condition. It has no time limit of its own; the signal may set one.
 *
 * @param condition is given every state of the object in turn; undefined while there is no such object
 * @returns the state that met the condition
 * @throws the signal's reason once it aborts
 */
export async function awaitCondition<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  { namespace, name }: ObjectName,
  condition: (object: T | undefined) => boolean,
  options: Omit<WatchOptions<T>, "namespace" | "labelSelector" | "fieldSelector">,
): Promise<T | undefined> {
  let synced = false;
  let current: T | undefined;
  const watch = watchResource(client, resource, { ...options, namespace, fieldSelector: `metadata.name=${name}` });
  for await (const event of watch) {
    if (event.type === "synced") synced = true;
    else current = event.type === "deleted" ? undefined : event.object;
    // Before the first list is complete, an object that was not seen may still exist.
    if (synced && condition(current)) return current;
  }
  return current;
}
