import { type Operation, operations } from "../api/operation.ts";
import { type Backup, backups } from "../api/velero.ts";
import { isNotFound } from "../kube/errors.ts";
import { findObject } from "../kube/find.ts";
import type { Access } from "./access.ts";
import type { Terminal } from "./terminal.ts";

/** What every verb works with. */
export interface Context {
  readonly access: Access;
  readonly terminal: Terminal;
  /** Aborts once somebody presses Ctrl-C. */
  readonly interrupt: AbortSignal;
  readonly now: () => Date;
}

/**
 * Reads one Operation of the chosen namespace. `operation/NAME` is taken for its name, as kubectl prints it.
 *
 * @throws Error in plain words where there is none
 */
export async function readOperation({ access, interrupt }: Context, name: string): Promise<Operation> {
  const { namespace } = access;
  const bare = bareName(name);
  try {
    return await access.client.get(operations, { namespace, name: bare }, { signal: interrupt });
  } catch (error) {
    if (isNotFound(error)) throw new Error(`there is no operation/${bare} in namespace ${namespace}`, { cause: error });
    throw error;
  }
}

/** The name in `operation/NAME`, or the name itself. */
export function bareName(name: string): string {
  return name.replace(/^(operation|operations|op)(\.ops\.vworkspace\.io)?\//, "");
}

/** The Backup that an Operation has made; undefined where Velero has it no more, or another one has taken its name. */
export async function backupOf({ status }: Operation, { access, interrupt }: Context): Promise<Backup | undefined> {
  const { namespace, name, uid } = status?.engineRef ?? {};
  if (namespace === undefined || name === undefined) return undefined;
  const found = await findObject(access.client, backups, { namespace, name }, { signal: interrupt });
  return uid === undefined || found?.metadata.uid === uid ? found : undefined;
}
