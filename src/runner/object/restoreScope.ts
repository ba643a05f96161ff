import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import type { RestoreParameters } from "../../api/parameters.ts";
import { type Backup, isRestorable } from "../../api/velero.ts";
import type { RunnerSettings } from "../context.ts";

export type Scope =
  | { readonly ok: true; readonly backup: Backup; readonly includedNamespaces: readonly string[] }
  | { readonly ok: false; readonly message: string };

const NAMESPACE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Whether this Restore may be made: the runner holds rights on every Backup, the person who asks does not. Nothing may
 * leave the Operation's namespace or come from one that namespaceMapping does not name. docs/contract.md#restore-scope.
 *
 * A Backup that does not exist and one that is somebody else's get the same message: who may write Operations in one
 * namespace learns nothing about the Backups of another.
 *
 * @param backup the Backup that the parameters were found to name; undefined when there is none
 * @returns the namespaces that the Restore is to name, or why it may not be made
 */
export function checkRestoreScope(
  operation: VeleroOperation,
  parameters: RestoreParameters,
  backup: Backup | undefined,
  { clusterId }: Pick<RunnerSettings, "clusterId">,
): Scope {
  const own = operation.metadata.namespace;
  const mapping = new Map(Object.entries(parameters.namespaceMapping ?? {}));
  for (const [from, to] of mapping) {
    if (to === own) continue;
    return { ok: false, message: `namespaceMapping maps ${from} to ${to}: everything must end up in ${own}` };
  }

  const included = backup?.spec?.includedNamespaces ?? [];
  // Velero takes globs here, and "*" or nothing means all: only literal names say what comes along.
  const allowed = included.every((name) => NAMESPACE_NAME.test(name) && (name === own || mapping.has(name)));
  if (backup === undefined || included.length === 0 || !allowed || isForeign(backup, clusterId)) {
    return {
      ok: false,
      message: `Backup ${parameters.backupName} cannot be restored into ${own}: there is no such Backup of this cluster, or it holds other namespaces than ${own} and those that namespaceMapping maps to it`,
    };
  }

  const phase = backup.status?.phase;
  if (!isRestorable(phase) || backup.metadata.deletionTimestamp !== undefined) {
    return {
      ok: false,
      message: `Backup ${backup.metadata.name} cannot be restored: it is ${phase ?? "New"}, not Completed or PartiallyFailed`,
    };
  }
  return { ok: true, backup, includedNamespaces: included };
}

function isForeign(backup: Backup, clusterId: string | undefined): boolean {
  const label = backup.metadata.labels?.[Label.clusterId];
  return label !== undefined && (clusterId === undefined || label !== labelValue(clusterId));
}
