import type { ApplicationInstance } from "../../api/applicationInstance.ts";
import { cancelRequested } from "../../api/cancel.ts";
import { Annotation, RECONCILE_DISABLED } from "../../api/labels.ts";
import { attemptOf, isTerminal, isVeleroOperation, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType } from "../../api/reasons.ts";
import { conditionOf } from "../../api/status.ts";
import { activeJobs } from "../jobs/jobState.ts";
import type { Action, World } from "../state/world.ts";
import { firstHindrance } from "./checks.ts";
import { isUnderWay, placeInLine } from "./line.ts";

type Annotate = Extract<Action, { kind: "annotateTarget" }>;

/**
 * The pause of the target that a Restore works on: its own controller would else undo what Velero brings back. Told by two
 * annotations, one that the controller goes by and one that says whose pause it is.
 * docs/contract.md#pausing-the-target.
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
 * The pause that comes before the admission of a Restore that has a Job already: one that was handed back, or for which a
 * person made a Job. That Job's runner begins as soon as it is admitted. docs/contract.md#when-the-target-is-paused.
 */
export function pauseAhead(operation: VeleroOperation, world: World): Annotate | undefined {
  return hasJobWaiting(operation, world) ? pauseOf(operation, world) : undefined;
}

/** A cancelled one needs no pause: its runner brings nothing back any more. */
function hasJobWaiting(operation: VeleroOperation, world: World): boolean {
  return !cancelRequested(operation) && activeJobs(operation, world).length > 0;
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

function isHeld({ metadata }: ApplicationInstance, pausedBy: string, world: World): boolean {
  const [uid = ""] = pausedBy.split("/");
  const operation = world.operation(uid);
  // What a deleted one has left at work in the namespace may be this one's.
  if (operation === undefined) return world.orphanedWork(metadata.namespace ?? "").some(({ isBackup }) => !isBackup);
  return (
    isVeleroOperation(operation) &&
    operation.spec.type === "Restore" &&
    operation.metadata.namespace === metadata.namespace &&
    operation.spec.targetRef.name === metadata.name &&
    (isUnderWay(operation, world) || (pausedBy === holderOf(operation) && isNextToBegin(operation, world)))
  );
}

/**
 * Whether it is paused by {@link pauseAhead} and its admission follows. One whose status still says Blocked=True does not
 * count, even if that is over: its target is looked at again only when that status changes.
 */
function isNextToBegin(operation: VeleroOperation, world: World): boolean {
  const { status, metadata } = operation;
  return (
    !isTerminal(status?.phase) &&
    metadata.deletionTimestamp === undefined &&
    conditionOf(status, ConditionType.blocked)?.status !== "True" &&
    hasJobWaiting(operation, world) &&
    firstHindrance(operation, world) === undefined &&
    placeInLine(operation, world).kind === "free"
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
