import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import {
  type DataMovement,
  dataDownloads,
  dataUploads,
  isRestore,
  podVolumeBackups,
  podVolumeRestores,
  type VeleroObject,
} from "../../api/velero.ts";
import { isNoSuchKind } from "../../kube/errors.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";

/**
 * One of the objects by which Velero moves volume data: there is one for each volume that is copied rather than
 * snapshotted.
 */
export interface Movement {
  readonly resource: Resource<DataMovement>;
  readonly object: DataMovement;
}

/**
 * The kinds of data movements that Velero may make for this Backup or Restore. A PodVolumeBackup is always possible,
 * because a pod's annotation can ask for a copy of its file system. A Restore moves back whatever its Backup has moved.
 */
export function possibleMovements(object: VeleroObject): Resource<DataMovement>[] {
  if (isRestore(object)) return [podVolumeRestores, dataDownloads];
  return object.spec?.snapshotMoveData === true ? [podVolumeBackups, dataUploads] : [podVolumeBackups];
}

const OVER: ReadonlySet<string> = new Set(["Completed", "Failed", "Canceled"]);

/** Whether this data movement has ended, well or badly. */
export function isMovementOver({ status }: DataMovement): boolean {
  return OVER.has(status?.phase ?? "");
}

/**
 * The data movements of a Backup or a Restore.
 *
 * @param resources the kinds to list. Default: all
 * @throws as KubeClient.list, except that a kind which this cluster does not have counts as empty
 */
export async function movementsOf(
  context: RunnerContext,
  object: VeleroObject,
  resources: readonly Resource<DataMovement>[] = isRestore(object)
    ? [podVolumeRestores, dataDownloads]
    : [podVolumeBackups, dataUploads],
): Promise<Movement[]> {
  const { name, uid } = object.metadata;
  const labelSelector = isRestore(object)
    ? `${Label.veleroRestoreName}=${labelValue(name)}`
    : `${Label.veleroBackupUid}=${uid}`;
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

/** Bytes to move and bytes moved so far, over all movements, as far as Velero reports them. */
export function movedBytes(movements: readonly Movement[]): { total: number; done: number } {
  const progress = movements.map(({ object }) => object.status?.progress);
  return {
    total: progress.reduce((sum, one) => sum + (one?.totalBytes ?? 0), 0),
    done: progress.reduce((sum, one) => sum + (one?.bytesDone ?? 0), 0),
  };
}
