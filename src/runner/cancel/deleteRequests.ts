import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import { type DeleteBackupRequest, deleteBackupRequests, type VeleroObject } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import { watchResource } from "../../kube/watch.ts";
import type { RunnerContext } from "../context.ts";
import { ownershipLabels } from "../object/ownership.ts";

/** Lists the DeleteBackupRequests for the Backup of that name, whoever made them. */
export async function deleteRequestsFor(context: RunnerContext, backupName: string): Promise<DeleteBackupRequest[]> {
  const { items } = await retry(
    () => context.client.list(deleteBackupRequests, selectionOf(context, backupName), context),
    context,
  );
  return items.filter((request) => request.spec?.backupName === backupName);
}

/** Asks Velero to delete a backup. Tries only once: each try that takes effect makes another request. */
export async function createDeleteRequest(context: RunnerContext, backup: VeleroObject): Promise<void> {
  const { name, uid } = backup.metadata;
  const manifest = {
    metadata: {
      generateName: `${name}-`,
      namespace: context.settings.veleroNamespace,
      labels: {
        ...ownershipLabels(backup),
        [Label.veleroBackupName]: labelValue(name),
        [Label.veleroBackupUid]: uid,
      },
    },
    spec: { backupName: name },
  };
  await context.client.create(deleteBackupRequests, manifest, context);
  context.logger.info({ backup: name, backupUid: uid }, "asked Velero to delete the backup");
}

/** Waits until the DeleteBackupRequests for a Backup are no longer those that were read. */
export async function deleteRequestsChanged(
  context: RunnerContext,
  backupName: string,
  read: readonly DeleteBackupRequest[],
  signal: AbortSignal,
): Promise<void> {
  const { client, logger, clock } = context;
  const versions = new Map(read.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  const seen = new Set<string>();
  const options = { ...selectionOf(context, backupName), signal, logger, clock };
  for await (const event of watchResource(client, deleteBackupRequests, options)) {
    if (event.type === "deleted") return;
    if (event.type === "synced") {
      // A request that was read, but is not in the watch's first list, was deleted in between.
      if ([...versions.keys()].some((name) => !seen.has(name))) return;
      continue;
    }
    const { name, resourceVersion } = event.object.metadata;
    if (event.object.spec?.backupName === backupName && versions.get(name) !== resourceVersion) return;
    seen.add(name);
  }
}

function selectionOf(context: RunnerContext, backupName: string) {
  const labelSelector = `${Label.veleroBackupName}=${labelValue(backupName)}`;
  return { namespace: context.settings.veleroNamespace, labelSelector };
}
