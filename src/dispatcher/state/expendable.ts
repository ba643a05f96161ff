import { milliseconds } from "../../api/duration.ts";
import { isTerminal, isVeleroOperation, type Operation, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType } from "../../api/reasons.ts";
import { parseBackupName } from "../../api/sourceBackupName.ts";
import { conditionOf, endedWithoutResult } from "../../api/status.ts";
import { keyOf } from "../../kube/metadata.ts";

export interface Retention {
  /** How many Operations that succeeded, that failed and that were cancelled stay for each target and type. */
  readonly keep: number;
  /** What ended more recently than this stays, as a Go duration. */
  readonly minAge: string;
}

/**
 * The finished Operations that may go: of each target and type all but the newest that succeeded, that failed and that were
 * cancelled, and nothing that ended lately. What an open Restore names stays, and so does an Operation whose Velero object may still live.
 * docs/contract.md#retention.
 *
 * @returns the oldest first
 */
export function expendable(operations: Iterable<Operation>, { keep, minAge }: Retention, now: Date): VeleroOperation[] {
  const finished = new Map<string, VeleroOperation[]>();
  const named = new Set<string>();
  for (const operation of operations) {
    if (!isVeleroOperation(operation)) continue;
    if (!isTerminal(operation.status?.phase)) {
      for (const name of sourcesOf(operation)) named.add(name);
      continue;
    }
    const { type, targetRef } = operation.spec;
    const group = [operation.metadata.namespace, type, targetRef.name, endingOf(operation)].join("/");
    finished.set(group, [...(finished.get(group) ?? []), operation]);
  }
  const before = now.getTime() - milliseconds(minAge);
  return [...finished.values()]
    .flatMap((group) => group.sort((a, b) => endOf(b) - endOf(a)).slice(keep))
    .filter((one) => endOf(one) < before && !named.has(keyOf(one)) && !endedWithoutResult(one.status))
    .sort((a, b) => endOf(a) - endOf(b));
}

/** A cancel must not push out the last failure, which metrics tell of. */
function endingOf({ status }: VeleroOperation): string | undefined {
  const isCancelled = conditionOf(status, ConditionType.cancelled)?.status === "True";
  return isCancelled ? "cancelled" : status?.phase;
}

/** When it ended, in milliseconds since 1970. Without that it counts as having ended just now, and stays. */
function endOf({ status }: VeleroOperation): number {
  const at = Date.parse(status?.finishedAt ?? "");
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : at;
}

/** The Operations that a Restore may mean by its backupName, as `namespace/name`. docs/contract.md#source-backup. */
function sourcesOf({ metadata, spec }: VeleroOperation): string[] {
  const { backupName, namespaceMapping } = spec.parameters ?? {};
  const source = typeof backupName === "string" ? parseBackupName(backupName) : undefined;
  if (source === undefined || source.kind === "backup") return [];
  if (source.kind === "operation" && source.namespace !== undefined) return [`${source.namespace}/${source.name}`];
  const mapped = typeof namespaceMapping === "object" && namespaceMapping !== null ? Object.keys(namespaceMapping) : [];
  return [metadata.namespace, ...mapped].map((namespace) => `${namespace}/${source.name}`);
}
