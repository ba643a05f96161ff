import { mustCancel } from "../api/cancel.ts";
import { MANAGED_BY } from "../api/labels.ts";
import { veleroNames } from "../api/names.ts";
import { attemptOf, type EngineRef, type VeleroOperation } from "../api/operation.ts";
import { Reason, veleroReason } from "../api/reasons.ts";
import type { VeleroObject } from "../api/velero.ts";
import { isAlreadyExists, isRefusal } from "../kube/errors.ts";
import { retry } from "../kube/retry.ts";
import { attemptIn } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import { cancelObject } from "./cancel/cancel.ts";
import { type RunnerContext, retryingRefusals } from "./context.ts";
import { Failure } from "./errors.ts";
import { redactedRefusal } from "./hideVeleroMessages.ts";
import { findVeleroObject } from "./object/findVeleroObject.ts";
import { isNamespaceTerminating } from "./object/namespaceTerminating.ts";
import { isMadeFor, type Plan } from "./object/plan.ts";
import type { ObjectEnd } from "./object/recordedObject.ts";
import { engineRef, getVelero, veleroResource } from "./object/veleroObject.ts";
import { objectState } from "./objectState.ts";

/**
 * Creates the Velero object of an attempt, once: first it writes the intent into status.engineRef, then it sends one
 * POST, then it records the object's uid. A crash at any point, or a second run, ends with the same one object.
 * docs/contract.md#create-once.
 *
 * @returns the attempt's object, created now or found; none when a cancel came first, or when the recorded object is
 *   gone
 * @throws Failure when the API server refuses the object, every name is taken, or the namespace to restore into is
 *   being deleted; OperationGone, AttemptOver
 */
export async function createOnce(context: RunnerContext, operation: VeleroOperation, plan: Plan): Promise<ObjectEnd> {
  const attempt = attemptIn(operation);
  let taken: string | undefined;
  for (;;) {
    // This write fails if the Operation has changed, so it also proves that no cancel or deletion came before the POST.
    const ready = await writeStatus(context, attempt, (latest) => ({ engineRef: intentFor(context, latest, taken) }));
    if (mustCancel(ready)) return { object: undefined, cancelled: true };
    const intent = ready.status?.engineRef;
    if (intent?.name === undefined || intent.uid !== undefined) return { object: await recordedObject(context, ready) };

    // Velero would create the namespace again. If somebody deletes it after this check, the Operation is deleted with
    // it, and the run cleans up (cancel/afterDeletion.ts).
    if (operation.spec.type === "Restore" && (await isNamespaceTerminating(context))) {
      const message = `namespace ${operation.metadata.namespace} is being deleted, so nothing can be restored into it`;
      throw new Failure(Reason.namespaceTerminating, message);
    }
    const object = await createOrRead(context, ready, plan, intent.name);
    if (object === undefined) continue;
    if (isMadeFor(ready, object.metadata.labels))
      return { object: await record(retryingRefusals(context), ready, object) };
    context.logger.info({ name: intent.name }, "another object has the name already, trying the attempt's next name");
    taken = intent.name;
  }
}

/**
 * Switches to the attempt's other name, because the object store holds a backup of the first name.
 *
 * @returns whether there is another name; if so, the status records it as the intent
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

/** The recorded intent or, if its name is taken, one with the next name. */
function intentFor(context: RunnerContext, operation: VeleroOperation, taken: string | undefined): EngineRef {
  const { type } = operation.spec;
  const recorded = operation.status?.engineRef;
  if (recorded?.name !== undefined && recorded.name !== taken) return recorded;
  const name =
    taken === undefined ? veleroNames(operation.metadata, attemptOf(operation))[0] : nameAfter(operation, taken);
  if (name === undefined) {
    const message = `there is already a velero.io/${type} named ${taken}, which was not made for this Operation`;
    throw new Failure(veleroReason(type, "Failed"), message);
  }
  return engineRef(context, type, name);
}

function nameAfter(operation: VeleroOperation, name: string): string | undefined {
  const names = veleroNames(operation.metadata, attemptOf(operation));
  return names[names.indexOf(name) + 1];
}

/** @returns the object that has the name now; undefined when the object that had it is gone already */
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
 * Records the attempt's object in the status, unless one is recorded already. When two runs have created two objects
 * under two names, the one that is recorded first stays, and the other is cancelled.
 *
 * @returns the object that is recorded now; undefined when that one is gone
 */
export async function record(
  context: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
): Promise<VeleroObject | undefined> {
  const { type } = operation.spec;
  const { name, uid } = object.metadata;
  const ref = operation.status?.engineRef;
  // An object with the recorded name and another uid is the recorded one, recreated by Velero (findVeleroObject).
  if (ref?.uid === uid || (ref?.uid !== undefined && ref.name === name)) return object;
  let isRecorded = false;
  const written = await writeStatus(context, attemptIn(operation), (latest) => {
    isRecorded = latest.status?.engineRef?.uid !== undefined;
    if (isRecorded) return {};
    // What it says so far goes into the same write, unless a cancel decides what comes next.
    const state = mustCancel(latest) ? undefined : objectState(context, type, object, false);
    return { ...state, engineRef: engineRef(context, type, name, uid) };
  });
  const now = written.status?.engineRef;
  // The run that recorded it may have seen more of it than this one.
  if (now?.uid === uid) return isRecorded ? await recordedObject(context, written) : object;
  // If both have the same name, this one is gone already: the recorded one has the name.
  if (now?.name !== name) await cancelObject(context, type, object);
  return await recordedObject(context, written);
}

async function recordedObject(context: RunnerContext, operation: VeleroOperation): Promise<VeleroObject | undefined> {
  const found = await findVeleroObject(context, operation);
  return found.kind === "found" ? found.object : undefined;
}
