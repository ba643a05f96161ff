import { type BackupName, parseBackupName } from "../../api/backupName.ts";
import { type EngineRef, isVeleroOperation, operations, type VeleroOperation } from "../../api/operation.ts";
import type { RestoreParameters } from "../../api/parameters.ts";
import { type Backup, backups } from "../../api/velero.ts";
import { keyOf } from "../../kube/metadata.ts";
import { apiVersionOf } from "../../kube/resource.ts";
import type { RunnerContext } from "../context.ts";
import { find } from "./find.ts";
import { isMadeFor } from "./plan.ts";

export type SourceBackup =
  /** `backup` is undefined when there is none; whether it may be restored is for checkRestoreScope to say. */
  { readonly ok: true; readonly backup: Backup | undefined } | { readonly ok: false; readonly message: string };

/**
 * The Backup that a Restore names. Names are per team: an Operation of that name, in a namespace that is restored from,
 * comes before whatever has the name in Velero, because that may be another team's, or an older one of this team's. Once
 * recorded it stays, for all runs of the attempt. docs/contract.md#source-backup.
 */
export async function chooseSourceBackup(
  context: RunnerContext,
  operation: VeleroOperation,
  parameters: RestoreParameters,
): Promise<SourceBackup> {
  const recorded = operation.status?.backupRef;
  if (recorded !== undefined) return await recordedBackup(context, recorded);
  const wanted = parseBackupName(parameters.backupName) ?? { kind: "backup", name: parameters.backupName };
  const makers = wanted.kind === "backup" ? [] : await makersOf(context, operation, parameters, wanted);
  const [maker, ...others] = makers;
  if (others.length > 0) {
    const ways = makers.map((one) => `operation/${keyOf(one)}`).join(" or ");
    return noSource(`backupName ${parameters.backupName} names ${makers.length} Operations: write ${ways}`);
  }
  if (maker !== undefined) return await backupOf(context, maker);
  return { ok: true, backup: wanted.kind === "operation" ? undefined : await backupNamed(context, wanted.name) };
}

/** The reference that goes into status.backupRef. */
export function backupRef({ metadata: { namespace, name, uid } }: Backup) {
  return { apiVersion: apiVersionOf(backups), kind: backups.kind, namespace, name, uid };
}

/**
 * The Backup Operations that a name may mean: those of the namespaces that namespaceMapping maps; where none of these has
 * one, the own namespace's.
 */
async function makersOf(
  context: RunnerContext,
  { metadata: { namespace: own } }: VeleroOperation,
  { namespaceMapping = {} }: RestoreParameters,
  wanted: Exclude<BackupName, { kind: "backup" }>,
): Promise<VeleroOperation[]> {
  const mapped = Object.keys(namespaceMapping);
  const isMeant = (namespace: string) => wanted.kind === "any" || (wanted.namespace ?? namespace) === namespace;
  for (const sources of [mapped, [own]]) {
    const targets = sources.filter(isMeant).map((namespace) => ({ namespace, name: wanted.name }));
    const found = await Promise.all(targets.map((target) => find(context, operations, target)));
    const makers = found.filter((one) => one !== undefined).filter(isVeleroOperation);
    const ofBackups = makers.filter(({ spec }) => spec.type === "Backup");
    if (ofBackups.length > 0) return ofBackups;
  }
  return [];
}

/** The Backup that an Operation has made; never, for want of that one, another which has the Operation's name. */
async function backupOf(context: RunnerContext, maker: VeleroOperation): Promise<SourceBackup> {
  const { status } = maker;
  const ref = status?.engineRef;
  const key = keyOf(maker);
  const byName = `to restore what has a certain name in Velero, write backup/${ref?.name ?? maker.metadata.name}`;
  if (status?.phase !== "Succeeded" || ref?.name === undefined) {
    const stands = [status?.phase ?? "Pending", status?.reason].filter((word) => word !== undefined).join(", ");
    return noSource(`Operation ${key} has not succeeded (${stands}), so it has no Backup to restore; ${byName}`);
  }
  const backup = await backupNamed(context, ref.name);
  // Velero makes Backups anew from the object store, with their labels and another uid.
  const isIts = backup?.metadata.uid === ref.uid || isMadeFor(maker, backup?.metadata.labels);
  if (backup === undefined || !isIts) {
    return noSource(`the Backup ${ref.name} that Operation ${key} made is gone; ${byName}`);
  }
  return { ok: true, backup };
}

async function recordedBackup(context: RunnerContext, { name = "", uid }: EngineRef): Promise<SourceBackup> {
  const backup = await backupNamed(context, name);
  if (backup?.metadata.uid === uid) return { ok: true, backup };
  return noSource(`the Backup ${name} that was to be restored is gone; run this again to have it looked for anew`);
}

async function backupNamed(context: RunnerContext, name: string): Promise<Backup | undefined> {
  return await find(context, backups, { namespace: context.settings.veleroNamespace, name });
}

function noSource(message: string): SourceBackup {
  return { ok: false, message };
}
