import { type OperationType, SUPPORTED_TYPES } from "../../api/operation.ts";
import { isVeleroTerminal, type VeleroObject } from "../../api/velero.ts";
import { isForbidden, isTransient } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import type { OperationGone } from "../errors.ts";
import { type Ending, EXIT } from "../exit.ts";
import { isNamespaceTerminating } from "../object/namespaceTerminating.ts";
import { operationSelector } from "../object/plan.ts";
import { veleroResource } from "../object/veleroObject.ts";
import { cancel } from "./cancel.ts";
import { removeNameCollisions } from "./nameCollisions.ts";

/**
 * Ends a run whose Operation was deleted: what Velero has not finished of it is cancelled, what it has finished stays.
 * When the Operation went with its whole namespace, a Backup goes on: that is when it is needed most. A Restore does not: it
 * would bring the namespace back. docs/contract.md#namespace-deletion.
 */
export async function cleanUpAfterDeletion(context: RunnerContext, gone: OperationGone): Promise<Ending> {
  // A Job made by hand for something that does not exist: a typo, which must not look like success.
  if (gone.uid === undefined) return { exitCode: EXIT.final, message: gone.message };
  const goes = await isNamespaceTerminating(context);
  const { uid } = gone;
  const made = await retry(() => objectsOf(context, uid), context);
  for (const { type, objects } of made) {
    if (goes && type === "Backup") continue;
    for (const object of objects.filter(({ status }) => !isVeleroTerminal(status?.phase))) {
      context.logger.info({ veleroObject: object.metadata.name }, "cleaning up: the Operation was deleted");
      await cancel(context, type, object);
    }
  }
  // Last, because what was under way a moment ago may have been refused since.
  if (made.some(({ type }) => type === "Backup")) await removeNameCollisions(context, uid);
  const how = goes
    ? "its namespace goes with it; a Backup goes on, a Restore does not"
    : "nothing unfinished is left of it";
  return { exitCode: EXIT.done, message: `${gone.message}: ${how}` };
}

interface Made {
  readonly type: OperationType;
  readonly objects: readonly VeleroObject[];
}

/**
 * What was made for an Operation. Of what type that was is not known any more; a runner has rights on its own type alone.
 *
 * @throws ApiError when it has no right on either: they are away for a moment
 */
async function objectsOf(context: RunnerContext, uid: string): Promise<Made[]> {
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(uid) };
  const asked = { ...context, mayPass: isTransient };
  const lists = await Promise.allSettled(
    SUPPORTED_TYPES.map(async (type): Promise<Made> => {
      const { items } = await retry(() => context.client.list(veleroResource(type), selection, asked), asked);
      return { type, objects: items };
    }),
  );
  const failures = lists.flatMap((list) => (list.status === "rejected" ? [list.reason] : []));
  const unforeseen = failures.find((error) => !isForbidden(error));
  if (unforeseen !== undefined || failures.length === lists.length) throw unforeseen ?? failures[0];
  return lists.flatMap((list) => (list.status === "fulfilled" ? [list.value] : []));
}
