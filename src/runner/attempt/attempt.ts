import { attemptOf, isTerminal, isVeleroOperation, operations, type VeleroOperation } from "../../api/operation.ts";
import { isAdmitted } from "../../api/status.ts";
import { isNotFound } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { AttemptOver, OperationGone, RunMustEnd, RunMustWait } from "../errors.ts";

/** The attempt that a run works on. A later Operation of the same name has another uid, and is left alone. */
export type Attempt = Readonly<{ namespace: string; name: string; uid: string; attempt: number }>;

/** The attempt that is under way in this Operation. */
export function attemptIn(operation: VeleroOperation): Attempt {
  const { namespace, name, uid } = operation.metadata;
  return { namespace, name, uid, attempt: attemptOf(operation) };
}

/**
 * Whether no run has written anything for this Operation yet. Each run writes its Job's uid or its intent before it creates
 * anything, so there can be no Velero object either.
 */
export function isUntouched(operation: VeleroOperation): boolean {
  const { engineRef, runner } = operation.status ?? {};
  const isJoined = runner?.jobUIDs !== undefined || runner?.requestedBy !== undefined;
  return attemptOf(operation) === 1 && engineRef === undefined && !isJoined;
}

/**
 * Reads the Operation as it is now, for a run that works on this attempt.
 *
 * @throws OperationGone when the Operation was deleted or is being deleted, AttemptOver when the attempt has ended or
 *   another has begun, RunMustWait when another run has handed the attempt back
 */
export async function readAttempt(context: RunnerContext, attempt: Attempt): Promise<VeleroOperation> {
  const operation = await readOperation(context, attempt, attempt.uid);
  if (isTerminal(operation.status?.phase) || attemptOf(operation) !== attempt.attempt) throw new AttemptOver(operation);
  if (!isAdmitted(operation.status)) throw new RunMustWait(`attempt ${attempt.attempt} waits to be admitted again`);
  context.latest.see(operation);
  return operation;
}

/**
 * Reads an Operation that is a Backup or Restore by Velero.
 *
 * @param uid the Operation's uid; without it, the Operation that has this name now
 * @throws OperationGone when there is none, when another Operation has the name now, or when it is being deleted;
 *   RunMustEnd when it is not a Backup or Restore by Velero
 */
export async function readOperation(
  context: RunnerContext,
  target: { readonly namespace: string; readonly name: string },
  uid: string | undefined,
): Promise<VeleroOperation> {
  const key = `${target.namespace}/${target.name}`;
  try {
    const { namespace, name } = target;
    const operation = await retry(() => context.client.get(operations, { namespace, name }, context), context);
    if (uid !== undefined && operation.metadata.uid !== uid) {
      throw new OperationGone(`Operation ${key} was deleted, and another one has its name now`, uid);
    }
    if (operation.metadata.deletionTimestamp !== undefined) {
      throw new OperationGone(`Operation ${key} is being deleted`, operation.metadata.uid);
    }
    if (!isVeleroOperation(operation)) throw new RunMustEnd(`Operation ${key} is not a Backup or Restore by Velero`);
    return operation;
  } catch (error) {
    if (isNotFound(error)) throw new OperationGone(`there is no Operation ${key}`, uid);
    throw error;
  }
}
