import { type EngineRef, isVeleroOperation, operations, type VeleroOperation } from "../../api/operation.ts";
import type { RestoreParameters } from "../../api/parameters.ts";
import { parseBackupName, type SourceBackupName } from "../../api/sourceBackupName.ts";
import { type Backup, backups } from "../../api/velero.ts";
import { keyOf } from "../../kube/metadata.ts";
import { apiVersionOf } from "../../kube/resource.ts";
import type { RunnerContext } from "../context.ts";
import { find } from "./find.ts";
import { isMadeFor } from "./plan.ts";

export type SourceBackup =
  /** `backup` is undefined when there is none. checkRestoreScope decides whether it may be restored. */
  { readonly ok: true; readonly backup: Backup | undefined } | { readonly ok: false; readonly message: string };

/**
 * Finds the Backup that a Restore names. Names are per team: `daily` means what the team's Operation `daily` made, if
 * there is such an Operation in a namespace that is restored from. Velero's own Backup `daily` comes second: it may be
 * another team's, or an older one of this team's. Once recorded, the choice holds for all runs of the attempt.
 * docs/contract.md#source-backup.
 */
export async function chooseSourceBackup(
  context: RunnerContext,
  operation: VeleroOperation,
  parameters: RestoreParameters,
): Promise<SourceBackup> {
  const recorded = operation.status?.backupRef;
  if (recorded !== undefined) return await recordedBackup(context, recorded);
  const wanted = parseBackupName(parameters.backupName) ?? { kind: "backup", name: parameters.backupName };
  const candidates = wanted.kind === "backup" ? [] : await candidatesFor(context, operation, parameters, wanted);
  const [candidate, ...others] = candidates;
  if (others.length > 0) {
    const ways = candidates.map((one) => `operation/${keyOf(one)}`).join(" or ");
    return noSource(
      `backupName ${parameters.backupName} is ambiguous, ${candidates.length} Operations have that name: write ${ways}`,
    );
  }
  if (candidate !== undefined) return await backupOf(context, candidate);
  return { ok: true, backup: wanted.kind === "operation" ? undefined : await backupNamed(context, wanted.name) };
}

/** The reference for status.backupRef. */
export function backupRef({ metadata: { namespace, name, uid } }: Backup) {
  return { apiVersion: apiVersionOf(backups), kind: backups.kind, namespace, name, uid };
}

/**
 * The Backup Operations that a name may mean: those in the namespaces that namespaceMapping maps; if none of these has
 * one, that in the Restore's own namespace.
 */
async function candidatesFor(
  context: RunnerContext,
  { metadata: { namespace: ownNamespace } }: VeleroOperation,
  { namespaceMapping = {} }: RestoreParameters,
  wanted: Exclude<SourceBackupName, { kind: "backup" }>,
): Promise<VeleroOperation[]> {
  const mapped = Object.keys(namespaceMapping);
  const isMeant = (namespace: string) => wanted.kind === "any" || (wanted.namespace ?? namespace) === namespace;
  for (const sources of [mapped, [ownNamespace]]) {
    const targets = sources.filter(isMeant).map((namespace) => ({ namespace, name: wanted.name }));
    const found = await Promise.all(targets.map((target) => find(context, operations, target)));
    const candidates = found.filter((one) => one !== undefined).filter(isVeleroOperation);
    const ofBackups = candidates.filter(({ spec }) => spec.type === "Backup");
    if (ofBackups.length > 0) return ofBackups;
  }
  return [];
}

/** The Backup that an Operation has made. If that one is gone, no other Backup of its name takes its place. */
async function backupOf(context: RunnerContext, candidate: VeleroOperation): Promise<SourceBackup> {
  const { status } = candidate;
  const ref = status?.engineRef;
  const key = keyOf(candidate);
  const byName = `to restore a Backup by its name in Velero, write backup/${ref?.name ?? candidate.metadata.name}`;
  if (status?.phase !== "Succeeded" || ref?.name === undefined) {
    const state = [status?.phase ?? "Pending", status?.reason].filter((word) => word !== undefined).join(", ");
    return noSource(`Operation ${key} has not succeeded (${state}), so it has no Backup to restore; ${byName}`);
  }
  const backup = await backupNamed(context, ref.name);
  // Velero recreates Backups from the object store, with their labels and a new uid.
  const isIts = backup?.metadata.uid === ref.uid || isMadeFor(candidate, backup?.metadata.labels);
  if (backup === undefined || !isIts) {
    return noSource(`the Backup ${ref.name} that Operation ${key} made is gone; ${byName}`);
  }
  return { ok: true, backup };
}

async function recordedBackup(context: RunnerContext, { name = "", uid }: EngineRef): Promise<SourceBackup> {
  const backup = await backupNamed(context, name);
  if (backup?.metadata.uid === uid) return { ok: true, backup };
  return noSource(
    `the Backup ${name} that this attempt chose is gone; run the Operation again to have one chosen anew`,
  );
}

async function backupNamed(context: RunnerContext, name: string): Promise<Backup | undefined> {
  return await find(context, backups, { namespace: context.settings.veleroNamespace, name });
}

function noSource(message: string): SourceBackup {
  return { ok: false, message };
}
