import { isNotFound } from "../../kube/errors.ts";
import { namespaces } from "../../kube/resources.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";

/** Whether the Operation's namespace is terminating, or gone. */
export async function isNamespaceTerminating(context: RunnerContext): Promise<boolean> {
  const { namespace: name } = context.settings.operation;
  try {
    const namespace = await retry(() => context.client.get(namespaces, { name }, context), context);
    return namespace.metadata.deletionTimestamp !== undefined;
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
}
