import { cancelRequested, mustCancel } from "../api/cancel.ts";
import { EXIT } from "../api/exitCodes.ts";
import { isVeleroOperation, type VeleroOperation } from "../api/operation.ts";
import { Reason } from "../api/reasons.ts";
import { failedValidationForLocation, type VeleroObject } from "../api/velero.ts";
import { type Backoff, backoffDelay } from "../kube/backoff.ts";
import { isRefusal } from "../kube/errors.ts";
import { type Attempt, attemptIn, readAttempt } from "./attempt/attempt.ts";
import { joinAttempt } from "./attempt/join.ts";
import { reportStatus } from "./attempt/writeStatus.ts";
import { cleanUpAfterDeletion } from "./cancel/afterDeletion.ts";
import { CANCEL_REQUESTED, cancelDecision, cancelOperation } from "./cancel/cancel.ts";
import { removeNameCollisions } from "./cancel/removeNameCollisions.ts";
import { type RunnerContext, retryingForever, retryingRefusals } from "./context.ts";
import { createOnce, record, takeOtherName } from "./create.ts";
import {
  AttemptOver,
  Failure,
  LocationUnavailable,
  ObjectChanged,
  OperationGone,
  RunMustEnd,
  RunMustWait,
} from "./errors.ts";
import type { Ending } from "./exit.ts";
import { endRun, fail, finish } from "./finish.ts";
import { confirmFailure } from "./follow/confirmFailure.ts";
import { follow } from "./follow/follow.ts";
import { exceededRunTime } from "./follow/maxRunTime.ts";
import { advanced, ProgressReader } from "./follow/progress.ts";
import { handBack, locationUnavailableFor } from "./handBack.ts";
import { findVeleroObject } from "./object/findVeleroObject.ts";
import { prepare } from "./object/prepare.ts";
import { checkRecordedObject, type ObjectEnd, type RecordedObject } from "./object/recordedObject.ts";
import { areGone, remove } from "./object/remove.ts";
import { isNameTakenInStore } from "./object/storeCollision.ts";
import { veleroResource } from "./object/veleroObject.ts";
import { objectState } from "./objectState.ts";

/**
 * Carries out one Operation, from whatever point an earlier run has reached. Every step can be repeated: a crash
 * between any two calls, or a second run at the same time, does not change the outcome. docs/contract.md#runner.
 *
 * @returns how the run ended, when there is nothing left to do
 * @throws the signal's reason once it aborts; the error when the API server refuses a call, or does not answer it for
 *   too long
 */
export async function run(context: RunnerContext): Promise<Ending> {
  for (let handedBack = 0; ; handedBack += 1) {
    try {
      const operation = await joinAttempt(retryingRefusals(context));
      // If a storage location comes and goes, Velero must not get a new object every moment.
      if (handedBack > 0)
        await context.clock.sleep(backoffDelay(handedBack, HANDED_BACK, Math.random()), context.signal);
      const attempt = attemptIn(operation);
      // The runs of the earlier attempts may have ended before Velero did.
      if (operation.spec.type === "Backup" && attempt.attempt > 1)
        await removeNameCollisions(context, attempt.uid, attempt.attempt - 1);
      const { uid, attempt: number } = attempt;
      // That took a while, so the Operation may have changed.
      const isOld = handedBack > 0 || number > 1;
      const latest = isOld ? await readAttempt(retryingRefusals(context), attempt) : operation;
      return await carryOut({ ...context, logger: context.logger.child({ uid, attempt: number }) }, latest);
    } catch (error) {
      if (error instanceof RunMustWait) context.logger.info(error.message);
      else if (error instanceof RunMustEnd) return { exitCode: EXIT.final, message: error.message };
      else if (error instanceof AttemptOver) return await endRun(retryingRefusals(context), error.operation);
      else if (error instanceof OperationGone) return await cleanUpAfterDeletion(retryingForever(context), error);
      else throw error;
    }
  }
}

/** The pause before a run continues an attempt that was handed back. */
const HANDED_BACK: Backoff = { minMs: 1_000, maxMs: 60_000 };

async function carryOut(context: RunnerContext, joined: VeleroOperation): Promise<Ending> {
  const attempt = attemptIn(joined);
  for (let operation = joined; ; operation = await readAttempt(retryingRefusals(context), attempt)) {
    try {
      const ending = await advanceOrFail(context, attempt, operation);
      if (ending !== undefined) return ending;
    } catch (error) {
      if (error instanceof LocationUnavailable) await handBack(retryingRefusals(context), operation, error);
      else if (error instanceof ObjectChanged) context.logger.info(error.message);
      else throw error;
    }
  }
}

/**
 * As {@link advance}; where the Operation cannot be carried out, the status says so.
 *
 * @throws ObjectChanged also where another run has recorded an object meanwhile: that decides how the attempt ends
 */
async function advanceOrFail(
  context: RunnerContext,
  attempt: Attempt,
  operation: VeleroOperation,
): Promise<Ending | undefined> {
  try {
    return await advance(context, attempt, operation);
  } catch (error) {
    if (error instanceof Failure) return await fail(context, attempt, error);
    throw error;
  }
}

/**
 * Brings the attempt's Velero object to its end, and then the Operation.
 *
 * @returns undefined when the attempt has to begin again under its other name
 */
async function advance(
  context: RunnerContext,
  attempt: Attempt,
  operation: VeleroOperation,
): Promise<Ending | undefined> {
  const made = await findOrCreate(context, operation);
  const ref = operation.status?.engineRef;
  // The uid may differ from the recorded one, if Velero has recreated the object.
  const known = { name: made.object?.metadata.name ?? ref?.name, uid: ref?.uid ?? made.object?.metadata.uid };
  const end =
    made.object === undefined ? made : await followToTheEnd(retryingForever(context), operation, made.object, known);
  const ended = end.object;
  if (ended !== undefined && failedValidationForLocation(ended))
    throw await locationUnavailableFor(retryingRefusals(context), ended);
  // Velero did not run this one, because the store has a backup of its name: try again under the attempt's other name.
  if (ended !== undefined && isNameTakenInStore(ended) && (await takeOtherName(context, operation, ended)))
    return undefined;
  return await finish(retryingForever(context), attempt, end, known);
}

/**
 * Finds the attempt's Velero object, or creates it.
 *
 * @returns no object when it has vanished, or when a cancel came before it was created. Once this run has obeyed a
 *   cancel, that stands, even if the request is withdrawn meanwhile.
 */
async function findOrCreate(context: RunnerContext, operation: VeleroOperation): Promise<ObjectEnd> {
  const found =
    operation.status?.engineRef === undefined
      ? await withFinalRefusals(() => findVeleroObject(context, operation))
      : await findVeleroObject(retryingRefusals(context), operation);
  if (found.kind === "found") return { object: await record(retryingRefusals(context), operation, found.object) };
  if (found.kind === "vanished") return { object: undefined };
  for (const refused of found.toRemove)
    await remove(retryingRefusals(context), veleroResource(operation.spec.type), refused, false);
  if (mustCancel(operation)) return { object: undefined, cancelled: true };
  if (!(await areGone(context, found.toRemove)))
    return await findOrCreate(context, await readAttempt(retryingRefusals(context), attemptIn(operation)));
  return await createOnce(context, operation, await prepare(retryingRefusals(context), operation));
}

/**
 * Makes a refusal by the API server final: nothing can have been created yet, and another run would be refused as well.
 */
async function withFinalRefusals<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isRefusal(error)) throw new RunMustEnd(error.message);
    throw error;
  }
}

/**
 * Follows the object and writes its progress into the status, until it has reached its end or a cancel has removed it.
 */
async function followToTheEnd(
  runContext: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
  known: RecordedObject,
): Promise<ObjectEnd> {
  const context = { ...runContext, logger: runContext.logger.child({ veleroObject: object.metadata.name }) };
  const { type } = operation.spec;
  const attempt = attemptIn(operation);
  const progress = new ProgressReader(context);
  for await (const view of follow(context, context.latest.of(attempt) ?? operation, object)) {
    const { operation: request } = view;
    if (request !== undefined && isVeleroOperation(request)) context.latest.see(request);
    if (request === undefined) throw new OperationGone("the Operation was deleted", attempt.uid);
    const latest = await confirmFailure(context, view.object);
    const exceeded = latest && !cancelRequested(request) ? exceededRunTime(context, latest) : undefined;
    if (latest !== undefined && (mustCancel(request) || exceeded !== undefined)) {
      const decision = exceeded === undefined ? CANCEL_REQUESTED : cancelDecision(Reason.deadlineExceeded, exceeded);
      return await cancelOperation(context, operation, latest, decision);
    }

    const state = latest && objectState(context, type, latest, mustCancel(request));
    if (latest === undefined || state === undefined) return { object: latest };
    const done = state.phase === "Running" ? await progress.read(latest) : undefined;
    await reportStatus(context, attempt, (seen) => {
      checkRecordedObject(seen, known);
      return { ...state, ...(done && { progress: advanced(seen.status?.progress, done) }) };
    });
  }
  throw new Error("following an object never ends by itself");
}
