import { backups, restores, type StorageLocation, storageLocations, type VeleroObject } from "../api/velero.ts";
import { retry } from "../kube/retry.ts";
import type { RunnerContext } from "./context.ts";

/**
 * The BackupStorageLocation where the files of a Backup, or of a Restore and its Backup, lie.
 *
 * @throws as KubeClient.get; Error when the Backup names no location
 */
export async function locationOf(context: RunnerContext, object: VeleroObject): Promise<StorageLocation> {
  const { client, settings } = context;
  const read = (name: string) => ({ namespace: settings.veleroNamespace, name });
  let name = object.spec?.storageLocation;
  if (object.kind === restores.kind) {
    const source = read(String(object.spec?.backupName));
    name = (await retry(() => client.get(backups, source, context), context)).spec?.storageLocation;
  }
  if (typeof name !== "string" || name === "") throw new Error("the Backup names no storage location");
  const location = read(name);
  return await retry(() => client.get(storageLocations, location, context), context);
}
