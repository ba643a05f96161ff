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
 * Changes the Operation's status: reads the Operation, asks `decide` what changes, and replaces the status at the
 * resourceVersion that was read. When another writer was faster (409), it begins again. It writes nothing when nothing
 * changes, and nothing over a terminal phase. docs/contract.md#status-writes.
 *
 * @param decide is given the Operation as it is now; may be called more than once
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
 * Tries once to write a status that was decided on exactly this version of the Operation, and records an Event for each
 * transition in it.
 *
 * @returns the Operation as it is after the write; undefined when it has changed since, so that the decision is out of
 *   date
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
    for (const announcement of announcements(operation.status, status)) {
      await context.events.announce(operation, announcement);
    }
    return { ...operation, metadata: { ...written.metadata, namespace }, status: written.status };
  } catch (error) {
    // An earlier try may have taken effect although its answer was lost; the next try then gets 409, too.
    if (isConflict(error)) return undefined;
    if (isNotFound(error)) throw new OperationGone(`there is no Operation ${namespace}/${name}`, uid);
    throw error;
  }
}
