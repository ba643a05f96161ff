import { type OperationType, SUPPORTED_TYPES } from "../api/operation.ts";
import { isVeleroTerminal, type VeleroObject } from "../api/velero.ts";
import { isForbidden } from "../kube/errors.ts";
import { retry } from "../kube/retry.ts";
import { cancel } from "./cancel.ts";
import type { RunnerContext } from "./context.ts";
import { type Ending, EXIT, type OperationGone } from "./endings.ts";
import { namespaceGoes } from "./namespace.ts";
import { veleroResource } from "./own.ts";
import { operationSelector } from "./plan.ts";
import { removeShadows } from "./shadows.ts";

/**
 * Ends a run whose Operation was deleted: what Velero has not finished of it is cancelled, what it has finished stays.
 * When the Operation went with its whole namespace, a Backup goes on: that is when it is needed most. A Restore does not: it
 * would bring the namespace back. docs/contract.md, Cancel.
 */
export async function cleanUp(context: RunnerContext, gone: OperationGone): Promise<Ending> {
  // A Job made by hand for something that does not exist: a typo, which must not look like success.
  if (gone.uid === undefined) return { exitCode: EXIT.final, message: gone.message };
  const goes = await namespaceGoes(context);
  for (const { type, object } of await leftOvers(context, gone.uid)) {
    if (goes && type === "Backup") continue;
    context.logger.info({ veleroObject: object.metadata.name }, "cleaning up: the Operation was deleted");
    await cancel(context, type, object);
  }
  // Last, because what was under way a moment ago may have been refused since.
  await removeShadows(context, gone.uid);
  const how = goes
    ? "its namespace goes with it; a Backup goes on, a Restore does not"
    : "nothing unfinished is left of it";
  return { exitCode: EXIT.done, message: `${gone.message}: ${how}` };
}

async function leftOvers(
  context: RunnerContext,
  uid: string,
): Promise<{ type: OperationType; object: VeleroObject }[]> {
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(uid) };
  const found = await Promise.all(
    SUPPORTED_TYPES.map(async (type) => {
      try {
        const { items } = await retry(() => context.client.list(veleroResource(type), selection, context), context);
        return items.map((object) => ({ type, object }));
      } catch (error) {
        // Of what type the Operation was is not known any more; a runner has rights on its own type alone.
        if (isForbidden(error)) return [];
        throw error;
      }
    }),
  );
  return found.flat().filter(({ object }) => !isVeleroTerminal(object.status?.phase));
}
