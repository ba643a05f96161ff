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
import { joined } from "./joined.ts";

const FIELD_MANAGER = "operation-runner";

/** What changes in the status of an Operation. */
type Decide = (operation: VeleroOperation) => StatusChange;

/**
 * Changes the Operation's status: asks `decide` what changes, and replaces the status at the resourceVersion that this was
 * decided on. The first try is decided on the Operation as this run saw it last. When another writer was faster (409), or
 * when there seems to be nothing to write, it reads the Operation and decides anew. It writes nothing when nothing changes,
 * and nothing over a terminal phase. Each write also records this run's Job, where that is not recorded yet. docs/contract.md#status-writes.
 *
 * @param decide is given the Operation; may be called more than once
 * @returns the Operation as it is after the write
 * @throws OperationGone, AttemptOver as {@link readAttempt}, and what `decide` throws
 */
export async function writeStatus(context: RunnerContext, attempt: Attempt, decide: Decide): Promise<VeleroOperation> {
  const latest = onLatest(context, attempt, decide);
  if (latest !== undefined && !latest.isSame) {
    const written = await replaceStatus(context, latest.operation, latest.status);
    if (written !== undefined) return written;
  }
  for (;;) {
    const operation = await readAttempt(context, attempt);
    const written = await replaceStatus(context, operation, statusAfter(context, operation, decide));
    if (written !== undefined) return written;
  }
}

/**
 * As {@link writeStatus}, for what is to be seen and nothing else hangs on: where the Operation said it when this run saw
 * it last, nothing is asked.
 */
export async function reportStatus(context: RunnerContext, attempt: Attempt, decide: Decide): Promise<void> {
  if (onLatest(context, attempt, decide)?.isSame !== true) await writeStatus(context, attempt, decide);
}

/** What would be written over the Operation as this run saw it last; undefined when only the present one can tell. */
function onLatest(context: RunnerContext, attempt: Attempt, decide: Decide) {
  const operation = context.latest.of(attempt);
  if (operation === undefined) return undefined;
  try {
    const status = statusAfter(context, operation, decide);
    return { operation, status, isSame: isDeepStrictEqual(status, operation.status) };
  } catch {
    // What speaks against the write may be out of date.
    return undefined;
  }
}

function statusAfter({ clock, settings }: RunnerContext, operation: VeleroOperation, decide: Decide): Status {
  return nextStatus(joined(operation, settings.job), decide(operation), {
    now: clock.now(),
    generation: operation.metadata.generation,
  });
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
    const now = { ...operation, metadata: { ...written.metadata, namespace }, status: written.status };
    context.latest.see(now);
    const told = announcements(operation.status, status);
    await Promise.all(told.map((announcement) => context.events.announce(operation, announcement)));
    return now;
  } catch (error) {
    context.latest.forget();
    // An earlier try may have taken effect although its answer was lost; the next try then gets 409, too.
    if (isConflict(error)) return undefined;
    if (isNotFound(error)) throw new OperationGone(`there is no Operation ${namespace}/${name}`, uid);
    throw error;
  }
}
