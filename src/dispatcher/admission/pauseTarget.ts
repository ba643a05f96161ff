import type { ApplicationInstance } from "../../api/applicationInstance.ts";
import { cancelRequested } from "../../api/cancel.ts";
import { Annotation, RECONCILE_DISABLED } from "../../api/labels.ts";
import { attemptOf, isTerminal, isVeleroOperation, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType } from "../../api/reasons.ts";
import { conditionOf } from "../../api/status.ts";
import { activeJobs } from "../jobs/jobState.ts";
import type { Action, World } from "../state/world.ts";
import { firstHindrance } from "./checks.ts";
import { isUnderWay } from "./entrants.ts";

type Annotate = Extract<Action, { kind: "annotateTarget" }>;

/**
 * Pauses the target of a Restore, whose controller would otherwise undo what Velero restores. Two annotations make a pause: the
 * controller obeys one, and the other says for which attempt of which Operation the dispatcher has set it.
 * docs/contract.md#pausing-the-target.
 *
 * @returns the write that pauses the target; undefined if it is paused already, if there is nothing to pause, or if somebody
 *   else has set the annotation that the controller obeys
 */
export function pauseOf(operation: VeleroOperation, world: World): Annotate | undefined {
  const { metadata, spec } = operation;
  if (!world.settings.pauseTarget || spec.type !== "Restore") return undefined;
  const target = world.target(metadata.namespace, spec.targetRef.name);
  if (target === undefined || target.metadata.deletionTimestamp !== undefined) return undefined;
  const { reconcile, pausedBy } = pauseAnnotations(target);
  const isForeign = reconcile !== undefined && (pausedBy === undefined || reconcile !== RECONCILE_DISABLED);
  if (isForeign || (pausedBy === pausedByValue(operation) && reconcile !== undefined)) return undefined;
  return annotate(
    target,
    { [Annotation.reconcile]: RECONCILE_DISABLED, [Annotation.pausedBy]: pausedByValue(operation) },
    "paused, because a Restore begins to work on it",
  );
}

/**
 * Pauses the target before the admission of a Restore that has a Job already: one whose attempt was handed back, or for which
 * people made a Job. That Job's runner begins as soon as the Restore is admitted. docs/contract.md#when-the-target-is-paused.
 */
export function pauseAhead(operation: VeleroOperation, world: World): Annotate | undefined {
  return hasJobWaiting(operation, world) ? pauseOf(operation, world) : undefined;
}

/** A cancelled Restore needs no pause: its runner restores nothing any more. */
function hasJobWaiting(operation: VeleroOperation, world: World): boolean {
  return !cancelRequested(operation) && activeJobs(operation, world).length > 0;
}

/**
 * Ends a pause that the dispatcher has set, once nothing works for its Operation any more: the Operation has ended, or is gone
 * and has left nothing at work, or never had this target. A pause that somebody else has set stays.
 *
 * @returns undefined if there is no such pause, or if it is still needed
 */
export function endOfPause(target: ApplicationInstance, world: World): Annotate | undefined {
  const { reconcile, pausedBy } = pauseAnnotations(target);
  if (!world.settings.pauseTarget || pausedBy === undefined || target.metadata.deletionTimestamp !== undefined) {
    return undefined;
  }
  if (isStillNeeded(target, pausedBy, world)) return undefined;
  return annotate(
    target,
    { [Annotation.pausedBy]: null, ...(reconcile === RECONCILE_DISABLED && { [Annotation.reconcile]: null }) },
    "no longer paused, because no Restore works on it any more",
  );
}

function isStillNeeded({ metadata }: ApplicationInstance, pausedBy: string, world: World): boolean {
  const [uid = ""] = pausedBy.split("/");
  const operation = world.operation(uid);
  // A deleted Operation may have left a Restore or a Job at work in the namespace, and the pause may be for that.
  if (operation === undefined) return world.orphanedWork(metadata.namespace ?? "").some(({ isBackup }) => !isBackup);
  return (
    isVeleroOperation(operation) &&
    operation.spec.type === "Restore" &&
    operation.metadata.namespace === metadata.namespace &&
    operation.spec.targetRef.name === metadata.name &&
    (isUnderWay(operation, world) || (pausedBy === pausedByValue(operation) && isNextToBegin(operation, world)))
  );
}

/**
 * Whether the pause was set by {@link pauseAhead} and the admission follows. A Restore whose status still says Blocked=True does
 * not count, even if nothing blocks it any more: the dispatcher looks at the target again only when that status changes.
 */
function isNextToBegin(operation: VeleroOperation, world: World): boolean {
  const { status, metadata } = operation;
  return (
    !isTerminal(status?.phase) &&
    metadata.deletionTimestamp === undefined &&
    conditionOf(status, ConditionType.blocked)?.status !== "True" &&
    hasJobWaiting(operation, world) &&
    firstHindrance(operation, world) === undefined &&
    world.placeOf(operation).kind === "free"
  );
}

/**
 * The value of paused-by. It names the attempt, so that the next attempt must write the target to take the pause over. The API
 * server then refuses to end the pause if that was decided before, because the target's resourceVersion has changed.
 */
function pausedByValue(operation: VeleroOperation): string {
  return `${operation.metadata.uid}/${attemptOf(operation)}`;
}

function pauseAnnotations({ metadata: { annotations } }: ApplicationInstance) {
  return { reconcile: annotations?.[Annotation.reconcile], pausedBy: annotations?.[Annotation.pausedBy] };
}

function annotate({ metadata }: ApplicationInstance, annotations: Annotate["annotations"], why: string): Annotate {
  const { namespace = "", name, resourceVersion } = metadata;
  return { kind: "annotateTarget", target: { namespace, name }, resourceVersion, annotations, why };
}
