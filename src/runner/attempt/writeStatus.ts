import { isDeepStrictEqual } from "node:util";
import { announcements } from "../../api/announcements.ts";
import { operations, type Status, type VeleroOperation } from "../../api/operation.ts";
import { nextStatus, type StatusChange } from "../../api/status.ts";
import { writeFitting } from "../../api/statusSize.ts";
import { isConflict, isNotFound } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { OperationGone } from "../errors.ts";
import { type Attempt, readAttempt } from "./attempt.ts";

const FIELD_MANAGER = "operation-runner";

/**
 * Writes what was seen into the Operation's status: reads it, lets `decide` say what changes, and replaces the status as
 * it was read. When somebody else wrote in between, all of that again. Nothing is written when nothing changes, nor over
 * a terminal phase. docs/contract.md#status-writes.
 *
 * @param decide told the Operation as it is now; may be asked more than once
 * @returns the Operation as it is after the write
 * @throws OperationGone, AttemptOver as {@link readAttempt}, and what `decide` throws
 */
export async function writeStatus(
  context: RunnerContext,
  attempt: Attempt,
  decide: (operation: VeleroOperation) => StatusChange,
): Promise<VeleroOperation> {
  for (;;) {
    const operation = await readAttempt(context, attempt);
    const moment = { now: context.clock.now(), generation: operation.metadata.generation };
    const status = nextStatus(operation.status, decide(operation), moment);
    const written = await replaceStatus(context, operation, status);
    if (written !== undefined) return written;
  }
}

/**
 * One try of a write that was decided on this very version of the Operation; an Event tells of each transition in it.
 *
 * @returns the Operation as it is after the write; undefined when it is no longer what the decision was made on
 * @throws OperationGone when it was deleted
 */
export async function replaceStatus(
  context: RunnerContext,
  operation: VeleroOperation,
  status: Status,
): Promise<VeleroOperation | undefined> {
  const { namespace, name, uid } = operation.metadata;
  if (isDeepStrictEqual(status, operation.status)) return operation;
  try {
    const options = { signal: context.signal, fieldManager: FIELD_MANAGER };
    const written = await writeFitting(status, (form) =>
      retry(() => context.client.replaceStatus(operations, { ...operation, status: form }, options), context),
    );
    for (const news of announcements(operation.status, status)) await context.events.announce(operation, news);
    return { ...operation, metadata: { ...written.metadata, namespace }, status: written.status };
  } catch (error) {
    // A replace that took effect without our hearing of it answers the next try with 409 as well: reading tells.
    if (isConflict(error)) return undefined;
    if (isNotFound(error)) throw new OperationGone(`no Operation ${namespace}/${name}`, uid);
    throw error;
  }
}
