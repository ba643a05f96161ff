import { EXIT } from "../../api/exitCodes.ts";
import { type OperationType, SUPPORTED_TYPES } from "../../api/operation.ts";
import { isVeleroTerminal, type VeleroObject } from "../../api/velero.ts";
import { isForbidden, isTransient } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import type { OperationGone } from "../errors.ts";
import type { Ending } from "../exit.ts";
import { isNamespaceTerminating } from "../object/namespaceTerminating.ts";
import { operationSelector } from "../object/plan.ts";
import { veleroResource } from "../object/veleroObject.ts";
import { cancelObject } from "./cancel.ts";
import { removeNameCollisions } from "./removeNameCollisions.ts";

/**
 * Ends a run whose Operation was deleted: cancels what Velero has not finished, and leaves what Velero has finished. If
 * the whole namespace is being deleted, a Backup continues, because that is when it is needed most; a Restore is
 * cancelled, because it would bring the namespace back. docs/contract.md#namespace-deletion.
 */
export async function cleanUpAfterDeletion(context: RunnerContext, gone: OperationGone): Promise<Ending> {
  // A Job made by hand names an Operation that does not exist, perhaps by a typo: that must not look like success.
  if (gone.uid === undefined) return { exitCode: EXIT.final, message: gone.message };
  const terminating = await isNamespaceTerminating(context);
  const { uid } = gone;
  const made = await retry(() => objectsOf(context, uid), context);
  for (const { type, objects } of made) {
    if (terminating && type === "Backup") continue;
    for (const object of objects.filter(({ status }) => !isVeleroTerminal(status?.phase))) {
      context.logger.info(
        { veleroObject: object.metadata.name },
        "the Operation was deleted, cancelling its unfinished Velero object",
      );
      await cancelObject(context, type, object);
    }
  }
  // Last, because Velero may since have failed what was still at work a moment ago.
  if (made.some(({ type }) => type === "Backup")) await removeNameCollisions(context, uid);
  const how = terminating
    ? "its namespace is being deleted, too; a Backup continues, a Restore is cancelled"
    : "no unfinished Velero object is left";
  return { exitCode: EXIT.done, message: `${gone.message}: ${how}` };
}

interface Made {
  readonly type: OperationType;
  readonly objects: readonly VeleroObject[];
}

/**
 * The Velero objects of an Operation that is gone. Its type is not known any more, so Backups and Restores are both
 * listed; a runner has rights on one of the two.
 *
 * @throws ApiError when it has rights on neither, as while RBAC is being applied again
 */
async function objectsOf(context: RunnerContext, uid: string): Promise<Made[]> {
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(uid) };
  const asked = { ...context, isRetryable: isTransient };
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
