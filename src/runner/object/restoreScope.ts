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
 * Whether this Restore may be created. The runner has rights on every Backup, the requester does not. So a Restore may
 * write only into the Operation's own namespace, and read only that one and those that namespaceMapping names: whether the
 * requester may, the policy operation-rights asked, and dispatcher/admission/checks/authorized.ts saw to it.
 * docs/contract.md#restore-scope.
 *
 * The message is the same for a Backup that does not exist and for another team's Backup: nobody learns by it what
 * Backups other namespaces have.
 *
 * @param backup the Backup that the parameters name; undefined when there is none
 * @returns the namespaces to restore from, or why the Restore may not be created
 */
export function checkRestoreScope(
  operation: VeleroOperation,
  parameters: RestoreParameters,
  backup: Backup | undefined,
  { clusterId }: Pick<RunnerSettings, "clusterId">,
): Scope {
  const ownNamespace = operation.metadata.namespace;
  const mapping = new Map(Object.entries(parameters.namespaceMapping ?? {}));
  for (const [from, to] of mapping) {
    if (to === ownNamespace) continue;
    return { ok: false, message: `namespaceMapping maps ${from} to ${to}: everything must end up in ${ownNamespace}` };
  }

  const included = backup?.spec?.includedNamespaces ?? [];
  // Velero takes globs here, and "*" or an empty list means all: only literal names say what a Backup holds.
  const allowed = included.every((name) => NAMESPACE_NAME.test(name) && (name === ownNamespace || mapping.has(name)));
  if (backup === undefined || included.length === 0 || !allowed || isForeign(backup, clusterId)) {
    return {
      ok: false,
      message: `Backup ${parameters.backupName} cannot be restored into ${ownNamespace}: there is no such Backup of this cluster, or it holds other namespaces than ${ownNamespace} and those that namespaceMapping maps to it`,
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
