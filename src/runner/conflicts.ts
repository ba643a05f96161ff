import { isTerminal, isVeleroOperation, operations, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { conditionOf, isAdmitted } from "../api/status.ts";
import { isAtWork } from "../api/velero.ts";
import { keyOf } from "../kube/metadata.ts";
import { retry } from "../kube/retry.ts";
import type { RunnerContext } from "./context.ts";
import { getVelero } from "./own.ts";
import { isOwn } from "./plan.ts";

/**
 * Another Operation under way in the namespace with which this one cannot run: a Restore runs alone, Backups may run side
 * by side. docs/contract.md, Admission 9; checked again here because a Job made by hand passed no admission.
 *
 * @returns what is under way, in words; undefined when nothing is
 */
export async function findConflict(context: RunnerContext, operation: VeleroOperation): Promise<string | undefined> {
  const selection = { namespace: operation.metadata.namespace };
  const onMalformed = (err: unknown) => context.logger.warn({ err }, "skipped an Operation that does not parse");
  const options = { signal: context.signal, onMalformed };
  const { items } = await retry(() => context.client.list(operations, selection, options), context);
  for (const other of items) {
    if (!isVeleroOperation(other) || other.metadata.uid === operation.metadata.uid) continue;
    if (operation.spec.type === "Backup" && other.spec.type === "Backup") continue;
    if (await isUnderWay(context, other)) return `the ${other.spec.type} ${keyOf(other)} is under way`;
  }
  return undefined;
}

async function isUnderWay(context: RunnerContext, other: VeleroOperation): Promise<boolean> {
  const { spec, status } = other;
  if (!isTerminal(status?.phase)) return isAdmitted(status);
  const name = status?.engineRef?.name;
  if (conditionOf(status, ConditionType.failed)?.reason !== Reason.runnerFailed || name === undefined) return false;
  // Its runner gave up, but Velero may still be at work in this namespace.
  const object = await getVelero(context, spec.type, name);
  return isOwn(other, object?.metadata.labels) && isAtWork(object);
}
