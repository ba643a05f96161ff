import { backups, restores, type StorageLocation, storageLocations, type VeleroObject } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";

/**
 * The BackupStorageLocation that holds the files of a Backup, or of a Restore and its Backup. It is read when it is asked
 * for, and once: what is known without it needs no call.
 *
 * @returns what reads it; undefined when it cannot be read, which the log then explains
 */
export function locationOf(context: RunnerContext, object: VeleroObject): () => Promise<StorageLocation | undefined> {
  let read: Promise<StorageLocation | undefined> | undefined;
  return () => {
    read ??= readLocation(context, object).catch((error: unknown) => {
      context.signal.throwIfAborted();
      context.logger.warn({ err: error }, "could not read the storage location");
      return undefined;
    });
    return read;
  };
}

async function readLocation(context: RunnerContext, object: VeleroObject): Promise<StorageLocation> {
  const name = await locationNameOf(context, object);
  if (name === undefined) throw new Error("the Backup names no storage location");
  const target = { namespace: context.settings.veleroNamespace, name };
  return await retry(() => context.client.get(storageLocations, target, context), context);
}

/**
 * The name of that location, as the Backup's spec has it.
 *
 * @returns undefined when the Backup names none
 * @throws as KubeClient.get
 */
export async function locationNameOf(context: RunnerContext, object: VeleroObject): Promise<string | undefined> {
  let name = object.spec?.storageLocation;
  if (object.kind === restores.kind) {
    const source = { namespace: context.settings.veleroNamespace, name: String(object.spec?.backupName) };
    name = (await retry(() => context.client.get(backups, source, context), context)).spec?.storageLocation;
  }
  return typeof name === "string" && name !== "" ? name : undefined;
}
