import { Label } from "../api/labels.ts";
import { labelValue } from "../api/names.ts";
import {
  type DataMovement,
  dataDownloads,
  dataUploads,
  podVolumeBackups,
  podVolumeRestores,
  restores,
  type VeleroObject,
} from "../api/velero.ts";
import { isNoSuchKind } from "../kube/errors.ts";
import type { Resource } from "../kube/resource.ts";
import { retry } from "../kube/retry.ts";
import type { RunnerContext } from "./context.ts";

/** Velero's own objects for volume data under way: one for each volume that is copied rather than snapshotted. */
export interface Movement {
  readonly resource: Resource<DataMovement>;
  readonly object: DataMovement;
}

/**
 * The data movements of a Backup or a Restore.
 *
 * @throws as KubeClient.list, but for a kind that this cluster does not have: that one has no objects
 */
export async function movementsOf(context: RunnerContext, object: VeleroObject): Promise<Movement[]> {
  const { name, uid } = object.metadata;
  const [resources, labelSelector] =
    object.kind === restores.kind
      ? [[podVolumeRestores, dataDownloads], `${Label.veleroRestoreName}=${labelValue(name)}`]
      : [[podVolumeBackups, dataUploads], `${Label.veleroBackupUid}=${uid}`];
  const selection = { namespace: context.settings.veleroNamespace, labelSelector };
  const lists = await Promise.all(
    resources.map(async (resource) => {
      try {
        const { items } = await retry(() => context.client.list(resource, selection, context), context);
        return items.map((item) => ({ resource, object: item }));
      } catch (error) {
        if (isNoSuchKind(error)) return [];
        throw error;
      }
    }),
  );
  return lists.flat();
}

/** Bytes to move and moved so far, over all movements, as far as Velero tells. */
export function movedBytes(movements: readonly Movement[]): { total: number; done: number } {
  const progress = movements.map(({ object }) => object.status?.progress);
  return {
    total: progress.reduce((sum, one) => sum + (one?.totalBytes ?? 0), 0),
    done: progress.reduce((sum, one) => sum + (one?.bytesDone ?? 0), 0),
  };
}
