import { attemptOf, isTerminal, isVeleroOperation, operations, type VeleroOperation } from "../../api/operation.ts";
import { isAdmitted } from "../../api/status.ts";
import { isNotFound } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { AttemptOver, NotAdmitted, OperationGone, RunNotAllowed } from "../errors.ts";

/** The attempt that a run works on. Whatever else bears its Operation's name is none of its business. */
export type Attempt = Readonly<{ namespace: string; name: string; uid: string; attempt: number }>;

/** The attempt that is under way in this Operation. */
export function attemptIn(operation: VeleroOperation): Attempt {
  const { namespace, name, uid } = operation.metadata;
  return { namespace, name, uid, attempt: attemptOf(operation) };
}

/**
 * Reads the Operation as it is now, for one who works on that attempt.
 *
 * @throws OperationGone when it was deleted (or is being), AttemptOver when the attempt has ended or another has begun,
 *   NotAdmitted when another run has handed it back
 */
export async function readAttempt(context: RunnerContext, attempt: Attempt): Promise<VeleroOperation> {
  const operation = await readOperation(context, attempt, attempt.uid);
  if (isTerminal(operation.status?.phase) || attemptOf(operation) !== attempt.attempt) throw new AttemptOver(operation);
  if (!isAdmitted(operation.status)) throw new NotAdmitted(`attempt ${attempt.attempt} waits to be admitted again`);
  return operation;
}

/**
 * Reads an Operation of ours.
 *
 * @param uid the Operation that is meant; without it any of that name
 * @throws OperationGone when there is none, or it is another one, or it is being deleted; Refused when another program's
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
      throw new OperationGone(`Operation ${key} is another one now`, uid);
    }
    if (operation.metadata.deletionTimestamp !== undefined) {
      throw new OperationGone(`Operation ${key} is being deleted`, operation.metadata.uid);
    }
    if (!isVeleroOperation(operation)) throw new RunNotAllowed(`Operation ${key} is no Backup or Restore by Velero`);
    return operation;
  } catch (error) {
    if (isNotFound(error)) throw new OperationGone(`no Operation ${key}`, uid);
    throw error;
  }
}
