import { findObject } from "../../kube/find.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";

/**
 * Reads an object by name, again while the API server is in trouble; undefined when there is none.
 *
 * @throws ApiError also when the API server does not know the kind (at the moment): the object may exist all the same
 */
export async function find<T extends KubeObject>(
  context: RunnerContext,
  resource: Resource<T>,
  target: { namespace?: string; name: string },
): Promise<T | undefined> {
  return await retry(() => findObject(context.client, resource, target, context), context);
}
