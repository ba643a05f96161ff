import { Label } from "../../api/labels.ts";
import { isHashedName } from "../../api/names.ts";
import { type Backup, backups } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { operationSelector } from "../object/plan.ts";
import { remove } from "../object/remove.ts";
import { failedValidation } from "../object/storeCollision.ts";
import { findArchiveOwner } from "./archiveOwner.ts";

/**
 * Removes an Operation's failed Backups, and those that Velero did not run, if the object store holds an older backup
 * of the same name, or may hold one: while the store is out of reach, backups fail and nobody can tell. At the end of
 * such a Backup's ttl, Velero would delete the files under its name, which are the older backup's. So the runner
 * deletes the Backup object now, and nothing else. If the files are its own after all, Velero recreates it from them.
 * docs/contract.md#leftovers, docs/velero-facts.md#data-loss-traps.
 *
 * @param uid the Operation's
 * @param upTo the last attempt whose Backups are looked at; a later one may be under way. Default: all
 * @throws as KubeClient.list and delete; the signal's reason once it aborts
 */
export async function removeNameCollisions(
  context: RunnerContext,
  uid: string,
  upTo: number = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (const backup of await backupsOf(context, uid)) {
    const attempt = Number(backup.metadata.labels?.[Label.attempt] ?? 0);
    if (attempt > upTo) continue;
    if (failedValidation(backup)) await remove(context, backups, backup, false);
    else if (isHashedName(backup.metadata.name, uid, attempt)) continue;
    // Only if it has not changed: Velero was seen to call a failed Backup Completed later.
    else if (await mayHideOlder(context, backup)) await remove(context, backups, backup, true);
  }
}

async function backupsOf(context: RunnerContext, uid: string): Promise<Backup[]> {
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(uid) };
  return (await retry(() => context.client.list(backups, selection, context), context)).items;
}

/** A Backup can fail before Velero checks whether its name is free in the object store. */
async function mayHideOlder(context: RunnerContext, backup: Backup): Promise<boolean> {
  return backup.status?.phase === "Failed" && (await findArchiveOwner(retryingBriefly(context), backup)) !== "own";
}
