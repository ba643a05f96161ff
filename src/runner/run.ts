import { type CancelReason, cancelDecided, cancelRequested, decidedReason, isCancelled } from "../api/cancel.ts";
import { cutBytes } from "../api/message.ts";
import { isTerminal, type VeleroOperation } from "../api/operation.ts";
import { platformExclusions } from "../api/platformExclusions.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { type ConditionChange, conditionOf } from "../api/status.ts";
import { isRefusedForLocation, type VeleroObject } from "../api/velero.ts";
import { type Backoff, backoffDelay } from "../kube/backoff.ts";
import { isRefusal } from "../kube/errors.ts";
import { type Attempt, attemptIn, readAttempt } from "./attempt/attempt.ts";
import { joinAttempt } from "./attempt/join.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import { cleanUpAfterDeletion } from "./cancel/afterDeletion.ts";
import { cancel } from "./cancel/cancel.ts";
import { isKept } from "./cancel/cancelStep.ts";
import { removeNameCollisions } from "./cancel/nameCollisions.ts";
import { type RunnerContext, retryingForever, retryingRefusals } from "./context.ts";
import { createOnce, record, takeOtherName } from "./create.ts";
import {
  AttemptOver,
  Failure,
  LocationUnavailable,
  NotAdmitted,
  ObjectChanged,
  OperationGone,
  RunNotAllowed,
} from "./errors.ts";
import { type Ending, EXIT } from "./exit.ts";
import { endRun, fail, finish } from "./finish.ts";
import { confirmFailure } from "./follow/confirmFailure.ts";
import { follow } from "./follow/follow.ts";
import { exceededRunTime } from "./follow/maxRunTime.ts";
import { advanced, ProgressReader } from "./follow/progress.ts";
import { handBack, refusedForLocation } from "./handBack.ts";
import { redacted } from "./hideVeleroMessages.ts";
import { findVeleroObject } from "./object/findVeleroObject.ts";
import { isNameCollision } from "./object/nameCollision.ts";
import { prepare } from "./object/prepare.ts";
import { checkRecordedObject, type ObjectEnd, type RecordedObject } from "./object/recordedObject.ts";
import { areGone, remove } from "./object/remove.ts";
import { veleroResource } from "./object/veleroObject.ts";
import { knownOutputs } from "./outputs/outputs.ts";
import { verdict } from "./verdict.ts";

/**
 * Carries out one Operation, from wherever an earlier run may have left it. Every step can be repeated: a crash between
 * any two calls, or a second run at the same time, changes nothing in the outcome. docs/contract.md#runner.
 *
 * @returns how it ended, when there is nothing left to do
 * @throws the signal's reason once that aborts; what the API server refused, or could not answer for too long
 */
export async function run(context: RunnerContext): Promise<Ending> {
  for (let returns = 0; ; returns += 1) {
    try {
      const operation = await joinAttempt(retryingRefusals(context));
      // A location that comes and goes must not have Velero asked over and over.
      if (returns > 0) await context.clock.sleep(backoffDelay(returns, RETURNED, Math.random()), context.signal);
      const attempt = attemptIn(operation);
      // Whoever worked on the earlier attempts may not have seen how they ended.
      if (operation.spec.type === "Backup" && attempt.attempt > 1)
        await removeNameCollisions(context, attempt.uid, attempt.attempt - 1);
      const { uid, attempt: number } = attempt;
      return await carryOut({ ...context, logger: context.logger.child({ uid, attempt: number }) }, attempt);
    } catch (error) {
      if (error instanceof NotAdmitted) context.logger.info(error.message);
      else if (error instanceof RunNotAllowed) return { exitCode: EXIT.final, message: error.message };
      else if (error instanceof AttemptOver) return await endRun(retryingRefusals(context), error.operation);
      else if (error instanceof OperationGone) return await cleanUpAfterDeletion(retryingForever(context), error);
      else throw error;
    }
  }
}

/** Before an attempt that was handed back is gone on with. */
const RETURNED: Backoff = { minMs: 1_000, maxMs: 60_000 };

async function carryOut(context: RunnerContext, attempt: Attempt): Promise<Ending> {
  try {
    for (;;) {
      const operation = await readAttempt(retryingRefusals(context), attempt);
      try {
        const ending = await pursue(context, attempt, operation);
        if (ending !== undefined) return ending;
      } catch (error) {
        if (error instanceof LocationUnavailable) await handBack(retryingRefusals(context), operation, error);
        else if (error instanceof ObjectChanged) context.logger.info(error.message);
        else throw error;
      }
    }
  } catch (error) {
    if (error instanceof Failure) return await fail(context, attempt, error);
    throw error;
  }
}

/**
 * Brings the attempt's object to its end, and the Operation with it.
 *
 * @returns undefined when it has to be begun anew
 */
async function pursue(
  context: RunnerContext,
  attempt: Attempt,
  operation: VeleroOperation,
): Promise<Ending | undefined> {
  const made = await ownObject(context, operation);
  const ref = operation.status?.engineRef;
  // Velero may have made it anew, under another uid than the one that is recorded.
  const known = { name: made.object?.metadata.name ?? ref?.name, uid: ref?.uid ?? made.object?.metadata.uid };
  const end =
    made.object === undefined ? made : await toTheEnd(retryingForever(context), operation, made.object, known);
  const refused = end.object;
  if (refused !== undefined && isRefusedForLocation(refused))
    throw await refusedForLocation(retryingRefusals(context), refused);
  // The store has a backup of this name, so this one was refused: once more, under the attempt's other name.
  if (refused !== undefined && isNameCollision(refused) && (await takeOtherName(context, operation, refused)))
    return undefined;
  return await finish(retryingForever(context), attempt, end, known);
}

/**
 * The attempt's Velero object: found, or created now.
 *
 * @returns none when it has vanished, or a cancel came before it was made: that this run obeyed it stays true, even if the
 *   request is taken back meanwhile
 */
async function ownObject(context: RunnerContext, operation: VeleroOperation): Promise<ObjectEnd> {
  const own =
    operation.status?.engineRef === undefined
      ? await unlessRefused(() => findVeleroObject(context, operation))
      : await findVeleroObject(retryingRefusals(context), operation);
  if (own.kind === "found") return { object: await record(retryingRefusals(context), operation, own.object) };
  if (own.kind === "vanished") return { object: undefined };
  for (const refused of own.toRemove)
    await remove(retryingRefusals(context), veleroResource(operation.spec.type), refused, false);
  if (isCancelled(operation)) return { object: undefined, cancelled: true };
  if (!(await areGone(context, own.toRemove)))
    return await ownObject(context, await readAttempt(retryingRefusals(context), attemptIn(operation)));
  return await createOnce(context, operation, await prepare(retryingRefusals(context), operation));
}

/** Before anything can have been made, a clear no of the API server is the end: another try would hear the same. */
async function unlessRefused<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isRefusal(error)) throw new RunNotAllowed(error.message);
    throw error;
  }
}

/** Follows the object and reports, until it has reached its end or is removed by a cancel. */
async function toTheEnd(
  runContext: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
  known: RecordedObject,
): Promise<ObjectEnd> {
  const context = { ...runContext, logger: runContext.logger.child({ veleroObject: object.metadata.name }) };
  const { type } = operation.spec;
  const attempt = attemptIn(operation);
  const progress = new ProgressReader(context);
  for await (const view of follow(context, operation, object)) {
    const { operation: request } = view;
    if (request === undefined) throw new OperationGone("the Operation was deleted", attempt.uid);
    const latest = await confirmFailure(context, view.object);
    const late = latest && !cancelRequested(request) ? exceededRunTime(context, latest) : undefined;
    if (latest !== undefined && (isCancelled(request) || late !== undefined)) {
      const decision = late === undefined ? CANCEL_REQUESTED : cancelDecision(Reason.deadlineExceeded, late);
      return await cancelled(context, operation, latest, decision);
    }

    const change = verdict({ type, object: redacted(context, latest), cancelRequested: isCancelled(request) });
    if (latest === undefined || isTerminal(change.phase)) return { object: latest };
    const done = change.phase === "Running" ? await progress.read(latest) : undefined;
    const outputs = knownOutputs(type, latest, platformExclusions(context.settings.restoreExcludedResources));
    await writeStatus(context, attempt, (seen) => {
      checkRecordedObject(seen, known);
      return { ...change, outputs, ...(done && { progress: advanced(seen.status?.progress, done) }) };
    });
  }
  throw new Error("following an object never ends by itself");
}

function cancelDecision(reason: CancelReason, message: string): ConditionChange {
  return { type: ConditionType.cancelled, status: "Unknown", reason, message };
}

const CANCEL_REQUESTED = cancelDecision(Reason.cancelRequested, "asked to end: what Velero has of it is being removed");

/**
 * Ends the object, on request or because it takes too long. That it is about to, and why, is written first: a run that is
 * killed must not leave the choice open. What was decided before keeps its reason.
 */
async function cancelled(
  context: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
  decision: ConditionChange,
): Promise<ObjectEnd> {
  const attempt = attemptIn(operation);
  const decided = cancelDecided(await readAttempt(context, attempt));
  if (!isKept({ asked: object, decided })) {
    await writeStatus(context, attempt, (latest) => {
      const before = decidedReason(latest) ?? decision.reason;
      return before === decision.reason ? { conditions: [decision] } : {};
    });
  }
  const tell = async (message: string): Promise<void> => {
    await writeStatus(context, attempt, ({ status }) => {
      const running = conditionOf(status, ConditionType.running);
      const { status: is = "False", reason = Reason.pending } = running ?? {};
      return { conditions: [{ type: ConditionType.running, status: is, reason, message: cutBytes(message) }] };
    });
  };
  const result = await cancel(context, operation.spec.type, object, { decided, tell });
  if (result.kind === "kept") return { object: result.object };
  return { object: undefined, cancelled: true, remains: result.remains };
}
