import { cancelRequested } from "../../api/cancel.ts";
import { isCrossNamespace } from "../../api/crossNamespace.ts";
import { isTerminal, isVeleroOperation, type VeleroOperation } from "../../api/operation.ts";
import { isAdmitted, runnerGaveUp } from "../../api/status.ts";
import { isAtWork } from "../../api/velero.ts";
import { activeJobs } from "../jobs/jobState.ts";
import { byAge } from "../state/operationState.ts";
import type { OrphanedWork } from "../state/orphanedWork.ts";
import type { World } from "../state/world.ts";
import { needsApproval } from "./checks/approval.ts";
import { firstHindrance } from "./checks.ts";

/**
 * Who goes first. Velero acts on whole namespaces, so a Restore runs alone in its own while Backups run side by side; and
 * there are only so many slots. Everybody stands in one line, the oldest first: an Operation waits for those under way,
 * whatever their age, and for older ones that could run themselves. So no two ever wait for each other, and who waits for
 * anything else holds up nobody. docs/contract.md#conflicts, docs/contract.md#queue.
 */
export type Place =
  | { readonly kind: "free" }
  | { readonly kind: "conflict"; readonly other: VeleroOperation; readonly otherIs: "under way" | "ahead" }
  /** Nobody is in the way but what a deleted Operation has left behind. */
  | { readonly kind: "leftBehind"; readonly what: string }
  /** Counted from 1, among those that wait for a slot and nothing else. */
  | { readonly kind: "queued"; readonly position: number; readonly total: number };

/** Whether there is room for an Operation that is itself ready to run, and if not, why. */
export function placeInLine(operation: VeleroOperation, world: World): Place {
  const { underWay, line } = lineUp(operation, world);
  return (
    conflictOf(operation, underWay, line) ?? leftInTheWay(operation, world) ?? slotOf(operation, underWay, line, world)
  );
}

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

/** Everybody else who is under way, and everybody who waits for nothing but others, by age. */
function lineUp(self: VeleroOperation, world: World): { underWay: VeleroOperation[]; line: VeleroOperation[] } {
  const underWay: VeleroOperation[] = [];
  const line = [self];
  for (const operation of world.operations()) {
    if (!isVeleroOperation(operation) || operation.metadata.uid === self.metadata.uid) continue;
    if (isTerminal(operation.status?.phase) || isAdmitted(operation.status)) {
      if (isUnderWay(operation, world)) underWay.push(operation);
    } else if (couldRun(operation, world)) {
      line.push(operation);
    }
  }
  return { underWay, line: line.sort(byAge) };
}

/** Judged by what the Operation and the world are now: what its status says may be older. */
function couldRun(operation: VeleroOperation, world: World): boolean {
  const known = world.ableToRun.get(operation);
  if (known !== undefined) return known;
  const able =
    operation.metadata.deletionTimestamp === undefined &&
    !cancelRequested(operation) &&
    firstHindrance(operation, world) === undefined;
  // An approval ends by the clock alone, and so does a right: that makes nobody forget what was remembered.
  if (!needsApproval(operation, world.settings) && !isCrossNamespace(operation)) world.ableToRun.set(operation, able);
  return able;
}

function conflictOf(
  self: VeleroOperation,
  underWay: readonly VeleroOperation[],
  line: readonly VeleroOperation[],
): Place | undefined {
  const inTheWay = (other: VeleroOperation) => conflicts(self, other);
  const running = underWay.filter(inTheWay).sort(byAge);
  const ahead = line.slice(0, line.indexOf(self)).filter(inTheWay);
  // Named is the one right before it: those further ahead come and go without a word about it here.
  const before = [...running.filter((other) => byAge(other, self) < 0), ...ahead].sort(byAge).at(-1) ?? running[0];
  return before && { kind: "conflict", other: before, otherIs: running.includes(before) ? "under way" : "ahead" };
}

function leftInTheWay({ metadata, spec }: VeleroOperation, world: World): Place | undefined {
  const left = world.orphanedWork(metadata.namespace).find(({ isBackup }) => spec.type === "Restore" || !isBackup);
  return left && { kind: "leftBehind", what: left.what };
}

/** A namespace, as the next in line finds it. */
interface Namespace {
  slots: number;
  taken: boolean;
  takenByRestore: boolean;
}

/** Lets everybody in line take a slot in turn, as far as they go, until it is this one's turn. */
function slotOf(
  self: VeleroOperation,
  underWay: readonly VeleroOperation[],
  line: readonly VeleroOperation[],
  { settings: { limits }, orphanedWork }: World,
): Place {
  const namespaces = new Map<string, Namespace>();
  const enter = ({ metadata, spec }: VeleroOperation): { namespace: Namespace; alone: boolean } => {
    const namespace = namespaces.get(metadata.namespace) ?? asLeft(orphanedWork(metadata.namespace));
    const alone = spec.type === "Restore" ? !namespace.taken : !namespace.takenByRestore;
    namespace.taken = true;
    if (spec.type === "Restore") namespace.takenByRestore = true;
    namespaces.set(metadata.namespace, namespace);
    return { namespace, alone };
  };
  for (const operation of underWay) enter(operation).namespace.slots += 1;
  let slots = underWay.length;
  let queued = 0;
  let position = 0;
  for (const operation of line) {
    const { namespace, alone } = enter(operation);
    if (!alone) continue;
    // A namespace at its limit holds up nobody else's: who comes later may take the slot.
    if (slots < limits.maxConcurrent && namespace.slots < limits.maxConcurrentPerNamespace) {
      if (operation === self) return { kind: "free" };
      slots += 1;
      namespace.slots += 1;
    } else {
      queued += 1;
      if (operation === self) position = queued;
    }
  }
  return { kind: "queued", position, total: queued };
}

/** What was left behind takes no slot: nobody would know when it is free again. */
function asLeft(left: readonly OrphanedWork[]): Namespace {
  return { slots: 0, taken: left.length > 0, takenByRestore: left.some(({ isBackup }) => !isBackup) };
}

function conflicts(one: VeleroOperation, other: VeleroOperation): boolean {
  if (one.metadata.namespace !== other.metadata.namespace) return false;
  return one.spec.type === "Restore" || other.spec.type === "Restore";
}

/**
 * Where somebody stands: exact near the front, coarse further behind, always true. Each one that ends would otherwise have
 * hundreds of others written anew.
 *
 * @returns `position 3 of 12`, `position over 100 of over 200`
 */
export function positionText({ position, total }: { position: number; total: number }): string {
  return `position ${coarse(position, 10)} of ${coarse(total, 20)}`;
}

function coarse(count: number, exactUpTo: number): string {
  if (count <= exactUpTo) return String(count);
  let over = exactUpTo;
  for (let scale = 10; scale < count; scale *= 10) {
    for (const step of [1, 2, 5]) if (step * scale < count) over = step * scale;
  }
  return `over ${over}`;
}
