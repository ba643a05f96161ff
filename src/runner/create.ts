import { isCancelled } from "../api/cancel.ts";
import { MANAGED_BY } from "../api/labels.ts";
import { veleroNames } from "../api/names.ts";
import { attemptOf, type EngineRef, type VeleroOperation } from "../api/operation.ts";
import { Reason, veleroReason } from "../api/reasons.ts";
import type { VeleroObject } from "../api/velero.ts";
import { isAlreadyExists, isRefusal } from "../kube/errors.ts";
import { retry } from "../kube/retry.ts";
import { attemptIn } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import { cancel } from "./cancel/cancel.ts";
import { type RunnerContext, retryingRefusals } from "./context.ts";
import { Failure } from "./errors.ts";
import { redactedRefusal } from "./hideVeleroMessages.ts";
import { findVeleroObject } from "./object/findVeleroObject.ts";
import { isNamespaceTerminating } from "./object/namespaceTerminating.ts";
import { isMadeFor, type Plan } from "./object/plan.ts";
import type { ObjectEnd } from "./object/recordedObject.ts";
import { engineRef, getVelero, veleroResource } from "./object/veleroObject.ts";

/**
 * Creates the Velero object of an attempt, once: first the intent goes into status.engineRef, then one POST, then its uid
 * is recorded. A crash at any point, or a second runner, ends with the same one object. docs/contract.md#create-once.
 *
 * @returns the object, ours or adopted; none when a cancel came first, or it was recorded and is gone again
 * @throws Failure when Velero's API refuses the object, every name is taken, or the namespace to restore into goes;
 *   OperationGone, AttemptOver
 */
export async function createOnce(context: RunnerContext, operation: VeleroOperation, plan: Plan): Promise<ObjectEnd> {
  const attempt = attemptIn(operation);
  let taken: string | undefined;
  for (;;) {
    // The guarded write also proves that the Operation was neither cancelled nor deleted before the POST.
    const ready = await writeStatus(context, attempt, (latest) => ({ engineRef: intend(context, latest, taken) }));
    if (isCancelled(ready)) return { object: undefined, cancelled: true };
    const intent = ready.status?.engineRef;
    if (intent?.name === undefined || intent.uid !== undefined) return { object: await recorded(context, ready) };

    // Velero would make the namespace anew. Should it go from here on, the Operation goes, and the run cleans up.
    if (operation.spec.type === "Restore" && (await isNamespaceTerminating(context))) {
      const message = `namespace ${operation.metadata.namespace} is being deleted: nothing is restored into it`;
      throw new Failure(Reason.namespaceTerminating, message);
    }
    const object = await createOrRead(context, ready, plan, intent.name);
    if (object === undefined) continue;
    if (isMadeFor(ready, object.metadata.labels))
      return { object: await record(retryingRefusals(context), ready, object) };
    context.logger.info({ name: intent.name }, "the name is taken by somebody else's object");
    taken = intent.name;
  }
}

/**
 * Turns to the attempt's other name, after the object store turned out to hold a backup of the first.
 *
 * @returns whether there is another name; if so, it is the intent now
 */
export async function takeOtherName(
  context: RunnerContext,
  operation: VeleroOperation,
  refused: VeleroObject,
): Promise<boolean> {
  const { type } = operation.spec;
  const next = nameAfter(operation, refused.metadata.name);
  if (next === undefined) return false;
  await writeStatus(context, attemptIn(operation), (latest) =>
    latest.status?.engineRef?.uid === refused.metadata.uid ? { engineRef: engineRef(context, type, next) } : {},
  );
  return true;
}

/** The intent that stands, or, when its name is taken, the next. */
function intend(context: RunnerContext, operation: VeleroOperation, taken: string | undefined): EngineRef {
  const { type } = operation.spec;
  const standing = operation.status?.engineRef;
  if (standing?.name !== undefined && standing.name !== taken) return standing;
  const name =
    taken === undefined ? veleroNames(operation.metadata, attemptOf(operation))[0] : nameAfter(operation, taken);
  if (name === undefined) {
    const message = `a velero.io/${type} named ${taken} exists and was not made for this Operation`;
    throw new Failure(veleroReason(type, "Failed"), message);
  }
  return engineRef(context, type, name);
}

function nameAfter(operation: VeleroOperation, name: string): string | undefined {
  const names = veleroNames(operation.metadata, attemptOf(operation));
  return names[names.indexOf(name) + 1];
}

/** @returns what has the name now; undefined when what had it is gone already */
async function createOrRead(
  context: RunnerContext,
  operation: VeleroOperation,
  plan: Plan,
  name: string,
): Promise<VeleroObject | undefined> {
  const { type } = operation.spec;
  const options = { signal: context.signal, fieldManager: MANAGED_BY };
  try {
    return await retry(() => context.client.create(veleroResource(type), plan(name), options), context);
  } catch (error) {
    if (isAlreadyExists(error)) return await getVelero(retryingRefusals(context), type, name);
    if (isRefusal(error)) {
      throw new Failure(veleroReason(type, "Failed"), redactedRefusal(context, error));
    }
    throw error;
  }
}

/**
 * Writes down which object it is, unless that is known. Of two that two runners made under two names, the first one
 * recorded stays and the other is removed again.
 *
 * @returns the object that is recorded now; undefined when that one is gone again
 */
export async function record(
  context: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
): Promise<VeleroObject | undefined> {
  const { type } = operation.spec;
  const { name, uid } = object.metadata;
  const ref = operation.status?.engineRef;
  // Under the recorded name and another uid it is the recorded one, made anew by Velero (findOwn).
  if (ref?.uid === uid || (ref?.uid !== undefined && ref.name === name)) return object;
  const written = await writeStatus(context, attemptIn(operation), (latest) =>
    latest.status?.engineRef?.uid === undefined ? { engineRef: engineRef(context, type, name, uid) } : {},
  );
  const now = written.status?.engineRef;
  if (now?.uid === uid) return object;
  // Under the same name it is gone already: what has the name is the recorded one.
  if (now?.name !== name) await cancel(context, type, object);
  return await recorded(context, written);
}

async function recorded(context: RunnerContext, operation: VeleroOperation): Promise<VeleroObject | undefined> {
  const own = await findVeleroObject(context, operation);
  return own.kind === "found" ? own.object : undefined;
}
