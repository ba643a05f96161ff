import { exceededDeadline, mustCancel } from "../api/cancel.ts";
import { EXIT } from "../api/exitCodes.ts";
import { cutBytes } from "../api/message.ts";
import { attemptOf, isTerminal, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { type ConditionChange, conditionOf } from "../api/status.ts";
import { isVeleroTerminal } from "../api/velero.ts";
import { type Attempt, readAttempt } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import { removeNameCollisions } from "./cancel/removeNameCollisions.ts";
import { removeUnrecordedObjects } from "./cancel/unrecordedObjects.ts";
import { type RunnerContext, retryingBriefly } from "./context.ts";
import type { Failure } from "./errors.ts";
import type { Ending } from "./exit.ts";
import { advanced, ProgressReader } from "./follow/progress.ts";
import { redacted } from "./hideVeleroMessages.ts";
import { checkRecordedObject, type ObjectEnd, type RecordedObject } from "./object/recordedObject.ts";
import { collectOutputs } from "./outputs/outputs.ts";
import { verdict } from "./verdict.ts";

/**
 * Writes the end of the attempt and its outputs, in one write. docs/contract.md#finishing.
 *
 * @throws ObjectChanged as {@link checkRecordedObject}
 */
export async function finish(
  context: RunnerContext,
  attempt: Attempt,
  end: ObjectEnd,
  known: RecordedObject,
): Promise<Ending> {
  const { object, cancelled = false, remains } = end;
  const operation = context.latest.of(attempt) ?? (await readAttempt(context, attempt));
  const { type } = operation.spec;
  const ended = isVeleroTerminal(object?.status?.phase) ? object : undefined;
  const [outputs, done] =
    ended === undefined
      ? []
      : await Promise.all([
          collectOutputs(retryingBriefly(context), operation, ended),
          new ProgressReader(context).read(ended),
        ]);
  const written = await writeStatus(context, attempt, (latest) => {
    checkRecordedObject(latest, known);
    return {
      ...verdict({
        type,
        object: redacted(context, object),
        byCancel: cancelled || mustCancel(latest),
        exceeded: exceededDeadline(latest),
        outputs,
        remains,
      }),
      ...(done && { progress: advanced(latest.status?.progress, done) }),
      ...withoutIntent(latest),
    };
  });
  return await endRun(context, written);
}

/**
 * Writes that the Operation cannot be carried out, and why, and ends the run.
 *
 * @throws ObjectChanged if another run has recorded an object meanwhile
 */
export async function fail(context: RunnerContext, attempt: Attempt, failure: Failure): Promise<Ending> {
  const { reason } = failure;
  const message = cutBytes(failure.message);
  const conditions: ConditionChange[] = [
    ...(failure.invalid ? [{ type: ConditionType.accepted, status: "False", reason, message } as const] : []),
    { type: ConditionType.running, status: "False", reason, message },
    { type: ConditionType.failed, status: "True", reason, message },
  ];
  const written = await writeStatus(context, attempt, (latest) => {
    checkRecordedObject(latest, { name: latest.status?.engineRef?.name, uid: undefined });
    return { phase: "Failed", conditions, ...withoutIntent(latest) };
  });
  return await endRun(context, written);
}

/**
 * Ends the run of an attempt that is over. First it removes Velero objects that no status records
 * (unrecordedObjects.ts) and those that endanger an older backup (removeNameCollisions.ts).
 */
export async function endRun(context: RunnerContext, operation: VeleroOperation): Promise<Ending> {
  const { status, spec, metadata } = operation;
  const attempt = attemptOf(operation);
  if (status?.phase === "Succeeded") return { exitCode: EXIT.done, message: summary(operation), operation };
  // If a later attempt is under way, its objects are left to its own runs.
  const ended = isTerminal(status?.phase) ? attempt : attempt - 1;
  await removeUnrecordedObjects(context, operation, ended);
  if (spec.type === "Backup") await removeNameCollisions(context, metadata.uid, ended);
  return { exitCode: EXIT.final, message: summary(operation), operation };
}

/** Removes an intent that no object was created for: it could point at somebody else's object for ever. */
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
