import { cancelRequested } from "../../api/cancel.ts";
import { isTerminal, type VeleroOperation } from "../../api/operation.ts";
import { endedWithoutResult, isAdmitted } from "../../api/status.ts";
import { isAtWork, veleroStage } from "../../api/velero.ts";
import { activeJobs } from "../jobs/jobState.ts";
import type { Entrant } from "../line/entrant.ts";
import type { Place } from "../line/line.ts";
import { loadText } from "../line/veleroLoad.ts";
import type { World } from "../state/world.ts";
import { firstHindrance } from "./checks.ts";

/** Positions up to this one are reported exactly. */
const EXACT_POSITIONS = 10;

/** Whether the runner gave up while its Velero object goes on. To all others such an Operation is still under way. */
export function livesOn(operation: VeleroOperation, world: World): boolean {
  const { status } = operation;
  if (status?.phase !== "Failed") return false;
  if (!endedWithoutResult(status)) return false;
  return isAtWork(world.veleroObject(operation));
}

/** Whether something is being done for the Operation, or will be without another check. */
export function isUnderWay(operation: VeleroOperation, world: World): boolean {
  if (isTerminal(operation.status?.phase)) return livesOn(operation, world);
  return isAdmitted(operation.status) && !isAbandoned(operation, world);
}

/** Whether it is deleted and only a foreign finalizer keeps it: no runner works on it, and none will. */
function isAbandoned(operation: VeleroOperation, world: World): boolean {
  if (operation.metadata.deletionTimestamp === undefined) return false;
  return activeJobs(operation, world).length === 0 && !isAtWork(world.veleroObject(operation));
}

/**
 * An Operation as the others in line see it, judged by the Operation and the world as they are now. Its status may be older.
 * docs/contract.md#conflicts, docs/contract.md#queue.
 *
 * @returns undefined if it does not matter to others: it has ended, or it waits for something other than its turn
 */
export function entrantOf(operation: VeleroOperation, world: World): Entrant | undefined {
  const { status } = operation;
  if (isTerminal(status?.phase) || isAdmitted(status)) {
    return isUnderWay(operation, world) ? underWay(operation, isInVelero(operation, world)) : undefined;
  }
  return couldRun(operation, world) ? waiting(operation) : undefined;
}

/** The entrant of an Operation that asks for its place in line. */
export function waiting(operation: VeleroOperation): Entrant {
  return { ...identityOf(operation), state: "waiting", inVelero: false };
}

function underWay(operation: VeleroOperation, inVelero: boolean): Entrant {
  return { ...identityOf(operation), state: "underWay", inVelero };
}

function identityOf({ metadata, spec }: VeleroOperation) {
  const { uid, namespace, name, creationTimestamp } = metadata;
  return { uid, namespace, name, type: spec.type, creationTimestamp };
}

function couldRun(operation: VeleroOperation, world: World): boolean {
  return (
    operation.metadata.deletionTimestamp === undefined &&
    !cancelRequested(operation) &&
    firstHindrance(operation, world) === undefined
  );
}

/**
 * Whether Velero has the Operation's object in its queue or at work. If no object is visible, a runner is about to create one or
 * the watch lags: that counts, too, unless no runner is at work that could create it.
 */
function isInVelero(operation: VeleroOperation, world: World): boolean {
  const object = world.veleroObject(operation);
  if (object !== undefined) return veleroStage(object.status?.phase) !== "letGo";
  return operation.status?.runner?.troubleSince === undefined && !isSuspended(operation, world);
}

/** Whether a queue such as Kueue has suspended all its Jobs; a queue may do so without limit. */
function isSuspended(operation: VeleroOperation, world: World): boolean {
  const jobs = activeJobs(operation, world);
  return jobs.length > 0 && jobs.every(({ spec }) => spec?.suspend === true);
}

/** What the status says of an Operation that waits only for its turn. */
export function placeText(
  { type }: Pick<Entrant, "type">,
  place: Exclude<Place, { kind: "free" }>,
  world: Pick<World, "veleroLoad">,
): string {
  switch (place.kind) {
    case "conflict":
      return `waits for the ${place.other.type} ${place.other.name} in this namespace, which is ${place.otherIs}`;
    case "orphanedWork":
      return `waits for ${place.what}, which is at work in this namespace though its Operation was deleted`;
    case "queued":
      return `waits for ${place.for === "slot" ? "a free slot" : veleroText(type, place, world)}, ${positionText(place)}`;
  }
}

/** Only the messages near the front say what Velero works on: that changes often, and thousands may wait. */
function veleroText(
  type: Entrant["type"],
  { position }: { position: number },
  { veleroLoad }: Pick<World, "veleroLoad">,
): string {
  return position > EXACT_POSITIONS ? "Velero" : `Velero, which ${loadText(type, veleroLoad(type))}`;
}

/**
 * A position in line: exact near the front, coarse but still true further behind. If all were exact, each Operation that ends
 * would cause hundreds of status writes.
 *
 * @returns `position 3 of 12`, `position over 100 of over 200`
 */
export function positionText({ position, total }: { position: number; total: number }): string {
  return `position ${coarse(position, EXACT_POSITIONS)} of ${coarse(total, 20)}`;
}

function coarse(count: number, exactUpTo: number): string {
  if (count <= exactUpTo) return String(count);
  let over = exactUpTo;
  for (let scale = 10; scale < count; scale *= 10) {
    for (const step of [1, 2, 5]) if (step * scale < count) over = step * scale;
  }
  return `over ${over}`;
}
