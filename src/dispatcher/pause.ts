import type { ApplicationInstance } from "../api/applicationInstance.ts";
import { Annotation, RECONCILE_DISABLED } from "../api/labels.ts";
import { attemptOf, isVeleroOperation, type VeleroOperation } from "../api/operation.ts";
import { isUnderWay } from "./order.ts";
import type { Action, World } from "./world.ts";

type Annotate = Extract<Action, { kind: "annotateTarget" }>;

/**
 * The pause of the target that a Restore works on: its own controller would else undo what Velero brings back. Told by two
 * annotations, one that the controller goes by and one that says whose pause it is. docs/contract.md, Pausing the target.
 *
 * @returns the pause that is still to be written; undefined where there is one, where nothing is to be paused, or where
 *   somebody else has said what the controller is to do
 */
export function pauseOf(operation: VeleroOperation, world: World): Annotate | undefined {
  const { metadata, spec } = operation;
  if (!world.settings.pauseTarget || spec.type !== "Restore") return undefined;
  const target = world.target(metadata.namespace, spec.targetRef.name);
  if (target === undefined || target.metadata.deletionTimestamp !== undefined) return undefined;
  const { reconcile, pausedBy } = saidOf(target);
  const foreign = reconcile !== undefined && (pausedBy === undefined || reconcile !== RECONCILE_DISABLED);
  if (foreign || (pausedBy === holderOf(operation) && reconcile !== undefined)) return undefined;
  return annotate(
    target,
    { [Annotation.reconcile]: RECONCILE_DISABLED, [Annotation.pausedBy]: holderOf(operation) },
    "paused while it is restored",
  );
}

/**
 * Takes back a pause of the dispatcher's when nothing works for it any more, however that came about: its Operation has
 * ended, or is gone and has left nothing at work, or never had this target. Somebody else's word stays.
 *
 * @returns undefined where there is no such pause, or it still holds
 */
export function endOfPause(target: ApplicationInstance, world: World): Annotate | undefined {
  const { reconcile, pausedBy } = saidOf(target);
  if (!world.settings.pauseTarget || pausedBy === undefined || target.metadata.deletionTimestamp !== undefined) {
    return undefined;
  }
  if (isHeld(target, pausedBy, world)) return undefined;
  return annotate(
    target,
    { [Annotation.pausedBy]: null, ...(reconcile === RECONCILE_DISABLED && { [Annotation.reconcile]: null }) },
    "no longer paused: what it was paused for is over",
  );
}

/** Whether a target carries a pause of the dispatcher's. */
export function isPaused(target: ApplicationInstance): boolean {
  return saidOf(target).pausedBy !== undefined;
}

function isHeld({ metadata }: ApplicationInstance, pausedBy: string, world: World): boolean {
  const [uid = ""] = pausedBy.split("/");
  const operation = world.operation(uid);
  // What a deleted one has left at work in the namespace may be this one's.
  if (operation === undefined) return world.leftBehind(metadata.namespace ?? "").some(({ isBackup }) => !isBackup);
  return (
    isVeleroOperation(operation) &&
    operation.spec.type === "Restore" &&
    operation.metadata.namespace === metadata.namespace &&
    operation.spec.targetRef.name === metadata.name &&
    isUnderWay(operation, world)
  );
}

/**
 * Names the attempt, too: an end of the pause that was decided on an earlier one then does not fit the target any more when
 * the next attempt has made the pause its own.
 */
function holderOf(operation: VeleroOperation): string {
  return `${operation.metadata.uid}/${attemptOf(operation)}`;
}

function saidOf({ metadata: { annotations } }: ApplicationInstance) {
  return { reconcile: annotations?.[Annotation.reconcile], pausedBy: annotations?.[Annotation.pausedBy] };
}

function annotate({ metadata }: ApplicationInstance, annotations: Annotate["annotations"], why: string): Annotate {
  const { namespace = "", name, resourceVersion } = metadata;
  return { kind: "annotateTarget", target: { namespace, name }, resourceVersion, annotations, why };
}
