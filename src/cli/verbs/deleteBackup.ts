import { pino } from "pino";
import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import { attemptOf, isTerminal, type Operation } from "../../api/operation.ts";
import { type Backup, backups, deleteBackupRequests, isRestorable } from "../../api/velero.ts";
import { systemClock } from "../../kube/clock.ts";
import { isNotFound } from "../../kube/errors.ts";
import { awaitCondition } from "../../kube/wait.ts";
import { timeoutOf } from "../await.ts";
import { type Confirmation, confirmed } from "../confirm.ts";
import { type Context, readOperation } from "../context.ts";
import { Exit } from "../exit.ts";
import { FIELD_MANAGER, reportChange, tryCreate } from "../mutation.ts";
import { insistOn } from "../rights.ts";
import type { ChangeOptions } from "./change.ts";

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
  const { access, interrupt } = context;
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
    await access.client.create(deleteBackupRequests, manifest, { fieldManager: FIELD_MANAGER, signal: interrupt });
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
  const found = await access.client.get(backups, { namespace, name }, { signal: interrupt }).catch((error: unknown) => {
    if (isNotFound(error)) throw new Error(`backup/${name} of ${own} is gone already`, { cause: error });
    throw error;
  });
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
  const late = new AbortController();
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => late.abort(), timeoutMs);
  const options = {
    signal: AbortSignal.any([interrupt, late.signal]),
    logger: pino({ level: "silent" }),
    clock: systemClock,
  };
  try {
    await awaitCondition(access.client, backups, { namespace, name }, (seen) => seen?.metadata.uid !== uid, options);
    terminal.out(`backup/${name} deleted`);
    return Exit.done;
  } catch (error) {
    if (!late.signal.aborted || interrupt.aborted) throw error;
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
  } finally {
    clearTimeout(timer);
  }
}
