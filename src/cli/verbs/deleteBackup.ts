import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import { attemptOf, isTerminal, type Operation } from "../../api/operation.ts";
import { type Backup, backups, deleteBackupRequests, isRestorable } from "../../api/velero.ts";
import { findObject } from "../../kube/find.ts";
import { timeoutOf } from "../await.ts";
import { awaitObject, TimedOut } from "../awaitObject.ts";
import { type Confirmation, confirmed } from "../confirm.ts";
import { type Context, readOperation } from "../context.ts";
import { Exit } from "../exit.ts";
import { type ChangeOptions, reportChange, tryCreate, writeOptions } from "../mutation.ts";
import { insistOn } from "../rights.ts";

export interface DeleteBackupOptions extends ChangeOptions, Confirmation {
  readonly wait?: boolean;
  readonly timeout: string;
}

/**
 * Has Velero delete the Backup of a finished Operation, and its files. Velero goes by the name alone, so the Backup has to be
 * this Operation's own for certain, and a good one: deleting a failed one can take an older backup's files.
 * docs/velero-facts.md#data-loss-traps.
 */
export async function deleteBackup(name: string, options: DeleteBackupOptions, context: Context): Promise<number> {
  const timeoutMs = timeoutOf(options.timeout);
  const operation = await readOperation(context, name);
  const backup = await ownBackup(operation, context);
  const { namespace, name: backupName, uid } = backup.metadata;
  const what = `This deletes backup/${backupName} of operation/${operation.metadata.name} and its files for good.`;
  if (options.dryRun === "none") await confirmed(what, options, context);
  const labels = { [Label.veleroBackupName]: labelValue(backupName), [Label.veleroBackupUid]: uid };
  const manifest = {
    metadata: { generateName: `${backupName}-`, namespace: namespace ?? "", labels },
    spec: { backupName },
  };
  if (options.dryRun === "server") await tryCreate(deleteBackupRequests, manifest, context);
  if (options.dryRun === "none") {
    await context.access.client.create(deleteBackupRequests, manifest, writeOptions(context));
  }
  if (!options.wait || options.dryRun !== "none") {
    return reportChange(backup, "asked to be deleted", options, context);
  }
  return await gone(backup, timeoutMs, context);
}

async function ownBackup(operation: Operation, context: Context): Promise<Backup> {
  const { access, interrupt } = context;
  const { metadata, spec, status } = operation;
  const own = `operation/${metadata.name}`;
  if (spec?.type !== "Backup") throw new Error(`${own} is no Backup: it has none to delete`);
  if (!isTerminal(status?.phase)) throw new Error(`${own} has not ended: cancel it first`);
  const { namespace, name, uid } = status?.engineRef ?? {};
  if (name === undefined || namespace === undefined)
    throw new Error(`${own} made no Backup: there is nothing to delete`);
  const deeds = [
    { verb: "get", resource: backups, namespace },
    { verb: "create", resource: deleteBackupRequests, namespace },
  ] as const;
  await insistOn(deeds, "deleting a backup", context);
  const found = await findObject(access.client, backups, { namespace, name }, { signal: interrupt });
  if (found === undefined) throw new Error(`backup/${name} of ${own} is gone already`);
  // Velero makes it anew from its files, with another uid and the same labels.
  const { labels = {} } = found.metadata;
  const isOwn =
    found.metadata.uid === uid ||
    (labels[Label.operation] === metadata.uid && labels[Label.attempt] === String(attemptOf(operation)));
  if (!isOwn) throw new Error(`backup/${name} is not that of ${own}: another one has its name. Nothing was done`);
  if (!isRestorable(found.status?.phase)) {
    const phase = found.status?.phase ?? "New";
    throw new Error(
      `backup/${name} is ${phase}: deleting it by Velero could take an older backup's files. kubectl delete backup.velero.io/${name} -n ${namespace} removes the object alone`,
    );
  }
  return found;
}

/** Waits until Velero has deleted it, or says why it does not. */
async function gone(backup: Backup, timeoutMs: number | undefined, context: Context): Promise<number> {
  const { access, interrupt, terminal } = context;
  const { namespace, name, uid } = backup.metadata;
  try {
    await awaitObject(backups, { namespace, name }, (seen) => seen?.metadata.uid !== uid, timeoutMs, context);
    terminal.out(`backup/${name} deleted`);
    return Exit.done;
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    const labelSelector = `${Label.veleroBackupUid}=${uid}`;
    const { items } = await access.client.list(
      deleteBackupRequests,
      { namespace, labelSelector },
      { signal: interrupt },
    );
    const errors = items.flatMap(({ status }) => status?.errors ?? []);
    const why = errors.length === 0 ? "Velero has not said why" : errors.join("; ");
    terminal.err(`error: timed out: backup/${name} is still there: ${why}`);
    return Exit.timeout;
  }
}
