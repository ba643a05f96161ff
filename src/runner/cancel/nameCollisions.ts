import { Label } from "../../api/labels.ts";
import { isHashedName } from "../../api/names.ts";
import { type Backup, backups } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { failedValidation } from "../object/nameCollision.ts";
import { operationSelector } from "../object/plan.ts";
import { remove } from "../object/remove.ts";
import { findArchiveOwner } from "./archiveOwner.ts";

/**
 * Removes what is left of an Operation's refused or failed Backups where an older backup of the same name lies in the
 * object store, or may: nobody can tell while the store is out of reach, which makes backups fail, too. At the end of its
 * ttl Velero would collect such a one by name, and delete the older one's files: so it goes now, and itself alone. If the
 * files were its own, Velero makes it anew from them. docs/contract.md#leftovers, docs/velero-facts.md#data-loss-traps.
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
    // Velero was seen to call a failed one Completed later: then it is none of these.
    else if (await mayHideOlder(context, backup)) await remove(context, backups, backup, true);
  }
}

async function backupsOf(context: RunnerContext, uid: string): Promise<Backup[]> {
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(uid) };
  return (await retry(() => context.client.list(backups, selection, context), context)).items;
}

/** A run can fail before Velero has looked whether the name is free. */
async function mayHideOlder(context: RunnerContext, backup: Backup): Promise<boolean> {
  return backup.status?.phase === "Failed" && (await findArchiveOwner(retryingBriefly(context), backup)) !== "own";
}
