import { cancelRequested } from "../../api/cancel.ts";
import { isTerminal, type VeleroOperation } from "../../api/operation.ts";
import { isAdmitted, runnerGaveUp } from "../../api/status.ts";
import { isAtWork, veleroStage } from "../../api/velero.ts";
import { activeJobs } from "../jobs/jobState.ts";
import type { Entrant } from "../line/entrant.ts";
import type { Place } from "../line/line.ts";
import { loadText } from "../line/veleroLoad.ts";
import type { World } from "../state/world.ts";
import { firstHindrance } from "./checks.ts";

/** The positions that are told exactly. */
const EXACT_POSITIONS = 10;

/** The runner gave up, but its Velero object goes on: the Operation is still under way for all others. */
export function livesOn(operation: VeleroOperation, world: World): boolean {
  const { status } = operation;
  if (status?.phase !== "Failed") return false;
  if (!runnerGaveUp(status)) return false;
  return isAtWork(world.veleroObject(operation));
}

/** Something is being done for it, or will be without another check. */
export function isUnderWay(operation: VeleroOperation, world: World): boolean {
  if (isTerminal(operation.status?.phase)) return livesOn(operation, world);
  return isAdmitted(operation.status) && !isAbandoned(operation, world);
}

/** Deleted, and only somebody's finalizer still holds it: nobody works on it, and nobody will. */
function isAbandoned(operation: VeleroOperation, world: World): boolean {
  if (operation.metadata.deletionTimestamp === undefined) return false;
  return activeJobs(operation, world).length === 0 && !isAtWork(world.veleroObject(operation));
}

/**
 * An Operation as the others in line see it, judged by what it and the world are now: what its status says may be older.
 * docs/contract.md#conflicts, docs/contract.md#queue.
 *
 * @returns undefined for one that matters to nobody: it has ended, or it waits for something else than others
 */
export function entrantOf(operation: VeleroOperation, world: World): Entrant | undefined {
  const { status } = operation;
  if (isTerminal(status?.phase) || isAdmitted(status)) {
    return isUnderWay(operation, world) ? underWay(operation, isInVelero(operation, world)) : undefined;
  }
  return couldRun(operation, world) ? waiting(operation) : undefined;
}

/** One that asks for its place, whatever else is to be said of it. */
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
 * Velero has its object before it or at work. Where none is seen yet, one is on its way, or is there already and a watch
 * lags: it counts, unless no runner comes to work that could make it.
 */
function isInVelero(operation: VeleroOperation, world: World): boolean {
  const object = world.veleroObject(operation);
  if (object !== undefined) return veleroStage(object.status?.phase) !== "letGo";
  if (operation.status?.engineRef?.uid !== undefined) return true;
  return operation.status?.runner?.troubleSince === undefined && !isSuspended(operation, world);
}

/** By a queue such as Kueue, which may hold a Job back for as long as it likes. */
function isSuspended(operation: VeleroOperation, world: World): boolean {
  const jobs = activeJobs(operation, world);
  return jobs.length > 0 && jobs.every(({ spec }) => spec?.suspend === true);
}

/** What the status of an Operation says that waits for nothing but others. */
export function placeText(
  { type }: Pick<Entrant, "type">,
  place: Exclude<Place, { kind: "free" }>,
  world: Pick<World, "veleroLoad">,
): string {
  switch (place.kind) {
    case "conflict":
      return `waits for the ${place.other.type} ${place.other.name} in this namespace, which is ${place.otherIs}`;
    case "leftBehind":
      return `waits for ${place.what}, which is at work in this namespace though its Operation was deleted`;
    case "queued":
      return `waits for ${place.for === "slot" ? "a free slot" : veleroText(type, place, world)}, ${positionText(place)}`;
  }
}

/** Only those near the front are told what Velero is at: it changes often, and thousands may wait. */
function veleroText(
  type: Entrant["type"],
  { position }: { position: number },
  { veleroLoad }: Pick<World, "veleroLoad">,
): string {
  return position > EXACT_POSITIONS ? "Velero" : `Velero, which ${loadText(type, veleroLoad(type))}`;
}

/**
 * Where somebody stands: exact near the front, coarse further behind, always true. Each one that ends would otherwise have
 * hundreds of others written anew.
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
