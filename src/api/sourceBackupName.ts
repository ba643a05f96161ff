/** What the parameter backupName of a Restore names. docs/contract.md#source-backup. */
export type SourceBackupName =
  /** An Operation of type Backup if there is one of that name, else one of Velero's Backups. */
  | { readonly kind: "any"; readonly name: string }
  | { readonly kind: "operation"; readonly namespace?: string; readonly name: string }
  | { readonly kind: "backup"; readonly name: string };

const MAX_LENGTH = 253;
const OBJECT_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const NAMESPACE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads a backupName: `daily`, or exactly one Backup by `operation/daily`, `operation/org-a/daily` or `backup/daily`,
 * as kubectl names objects. This is unambiguous, because no object's name has a slash.
 *
 * @returns undefined for a text that cannot name anything
 */
export function parseBackupName(text: string): SourceBackupName | undefined {
  const parts = text.split("/");
  const name = parts.at(-1) ?? "";
  if (name.length > MAX_LENGTH || !OBJECT_NAME.test(name)) return undefined;
  const [kind, namespace] = parts;
  if (parts.length === 1) return { kind: "any", name };
  if (parts.length === 2 && kind === "backup") return { kind, name };
  if (parts.length === 2 && kind === "operation") return { kind, name };
  if (parts.length !== 3 || kind !== "operation" || namespace === undefined) return undefined;
  return NAMESPACE_NAME.test(namespace) ? { kind, namespace, name } : undefined;
}
