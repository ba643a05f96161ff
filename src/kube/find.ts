import type { CallOptions, KubeClient, ObjectName } from "./client.ts";
import { isNotFound } from "./errors.ts";
import type { KubeObject } from "./metadata.ts";
import type { Resource } from "./resource.ts";

/**
 * Reads an object by name; undefined when there is none.
 *
 * @throws ApiError also when the API server does not know the kind (at the moment): the object may exist all the same
 */
export async function findObject<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: ObjectName,
  options?: CallOptions,
): Promise<T | undefined> {
  try {
    return await client.get(resource, object, options);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
