import { exceededDeadline, isCancelled } from "../api/cancel.ts";
import { cutBytes } from "../api/message.ts";
import { attemptOf, isTerminal, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { type ConditionChange, conditionOf } from "../api/status.ts";
import { isVeleroTerminal, type VeleroObject } from "../api/velero.ts";
import { type Attempt, readAttempt } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import { removeShadows } from "./cancel/nameCollisions.ts";
import { removeStrays } from "./cancel/unrecordedObjects.ts";
import { impatient, type RunnerContext } from "./context.ts";
import { type Ending, EXIT, type Failure, ObjectChanged } from "./errors.ts";
import { advanced, ProgressReader } from "./follow/progress.ts";
import { asShown } from "./hideVeleroMessages.ts";
import { collectOutputs } from "./outputs/outputs.ts";
import { verdict } from "./verdict.ts";

/** What is left of an attempt's Velero object when there is nothing more to wait for. */
export interface End {
  /** Undefined when there is none (any more). */
  readonly object: VeleroObject | undefined;
  /** This run removed it, or did not make it, because the Operation was cancelled. */
  readonly cancelled?: boolean;
  /** What that could not clean up, in words. */
  readonly remains?: string | undefined;
}

/**
 * Writes the attempt's end, outputs and all, in one write. docs/contract.md, Runner 5.
 *
 * @throws ObjectChanged as {@link checkObject}
 */
export async function finish(context: RunnerContext, attempt: Attempt, end: End, known: Known): Promise<Ending> {
  const { object, cancelled = false, remains } = end;
  const operation = await readAttempt(context, attempt);
  const { type } = operation.spec;
  const ended = isVeleroTerminal(object?.status?.phase) ? object : undefined;
  const outputs = ended && (await collectOutputs(impatient(context), operation, ended));
  const done = ended && (await new ProgressReader(context).read(ended));
  const written = await writeStatus(context, attempt, (latest) => {
    checkObject(latest, known);
    return {
      ...verdict({
        type,
        object: asShown(context, object),
        cancelRequested: cancelled || isCancelled(latest),
        exceeded: exceededDeadline(latest),
        outputs,
        remains,
      }),
      ...(done && { progress: advanced(latest.status?.progress, done) }),
      ...withoutIntent(latest),
    };
  });
  return await over(context, written);
}

/** What a run took for its attempt's object. */
export interface Known {
  /** As it was called, or was to be called. */
  readonly name: string | undefined;
  /** As it is recorded; undefined while it is not made. */
  readonly uid: string | undefined;
}

/**
 * Before anything is written about an object: that it still is the attempt's. A run that hears late may have followed one
 * that another run has removed since, because Velero refused it, or found none just before another run made it.
 *
 * @throws ObjectChanged when the attempt has another one now
 */
export function checkObject({ status }: Operation, { name, uid }: Known): void {
  const now = status?.engineRef;
  const renamed = name !== undefined && now?.name !== undefined && now.name !== name;
  if (renamed || now?.uid !== uid) throw new ObjectChanged(`the attempt's object is ${now?.name ?? "none"} now`);
}

/** Writes that the Operation cannot be carried out, and why. */
export async function fail(context: RunnerContext, attempt: Attempt, failure: Failure): Promise<Ending> {
  const { reason } = failure;
  const message = cutBytes(failure.message);
  const conditions: ConditionChange[] = [
    ...(failure.invalid ? [{ type: ConditionType.accepted, status: "False", reason, message } as const] : []),
    { type: ConditionType.running, status: "False", reason, message },
    { type: ConditionType.failed, status: "True", reason, message },
  ];
  const written = await writeStatus(context, attempt, (latest) => ({
    phase: "Failed",
    conditions,
    ...withoutIntent(latest),
  }));
  return await over(context, written);
}

/**
 * How an attempt that is over ended, once nothing is left of it that nobody knows of ({@link removeStrays}) or that endangers
 * an older backup ({@link removeShadows}).
 */
export async function over(context: RunnerContext, operation: VeleroOperation): Promise<Ending> {
  const { status, spec, metadata } = operation;
  const attempt = attemptOf(operation);
  if (status?.phase === "Succeeded") return { exitCode: EXIT.done, message: summary(operation), operation };
  // A later attempt may be under way: its object is not this run's to judge.
  const ended = isTerminal(status?.phase) ? attempt : attempt - 1;
  await removeStrays(context, operation, ended);
  if (spec.type === "Backup") await removeShadows(context, metadata.uid, ended);
  return { exitCode: EXIT.final, message: summary(operation), operation };
}

/** An intent that nothing came of must not point at somebody else's object for ever. */
function withoutIntent({ status }: VeleroOperation): { engineRef?: undefined } {
  return status?.engineRef !== undefined && status.engineRef.uid === undefined ? { engineRef: undefined } : {};
}

function summary(operation: Operation): string {
  const decided = endingCondition(operation);
  return decided?.message ?? `attempt ${attemptOf(operation)} is over`;
}

/** The condition that says how the attempt ended. */
export function endingCondition({ status }: Operation) {
  const types = [ConditionType.succeeded, ConditionType.cancelled, ConditionType.failed];
  return types.map((type) => conditionOf(status, type)).find((condition) => condition?.status === "True");
}
