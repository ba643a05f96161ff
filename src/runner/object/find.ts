import { isNotFound } from "../../kube/errors.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";

/**
 * Reads an object by name; undefined when there is none.
 *
 * @throws ApiError also when the API server does not know the kind (at the moment): the object may exist all the same
 */
export async function find<T extends KubeObject>(
  context: RunnerContext,
  resource: Resource<T>,
  target: { namespace?: string; name: string },
): Promise<T | undefined> {
  try {
    return await retry(() => context.client.get(resource, target, context), context);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
