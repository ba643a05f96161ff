import { byAge, type Entrant, isSame, type Type } from "./entrant.ts";
import { type Conflict, NamespaceLine, type OrphanedWork } from "./namespaceLine.ts";
import { Sorted } from "./sorted.ts";

/** Whether there is room for an Operation that passes its own checks and, if not, why. */
export type Place =
  | { readonly kind: "free" }
  | Conflict
  /**
   * It waits only for room: for a free slot, or for Velero. The position counts from 1 among all that do, as of the last
   * {@link Line.count}.
   */
  | { readonly kind: "queued"; readonly for: "slot" | "velero"; readonly position: number; readonly total: number };

/** How many may be under way at once. */
export interface Limits {
  readonly maxConcurrent: number;
  readonly maxConcurrentPerNamespace: number;
}

/** How many objects of each type Velero may have at once. */
export interface Capacity extends Readonly<Record<Type, number>> {
  /** How many more Backups it may have, for it to go on with at once, while more than {@link FEW_BACKUPS} wait. */
  readonly nextBackups: number;
}

const TYPES = ["Backup", "Restore"] as const;

/**
 * While no more Backups than this wait, Velero gets none as its next one: only the creation of a further Backup is sure to have it look
 * at its queue, so the last of a series would often stay there for a minute. docs/velero-facts.md#veleros-own-queue.
 */
export const FEW_BACKUPS = 3;

/**
 * Decides which Operation goes first. Namespaces take turns, and within a namespace the oldest goes first. An Operation can take its
 * turn if it conflicts with no other in its namespace, a slot is free, and Velero has room for its type. An Operation that waits for
 * anything else holds up no other. The line is kept up to date by changes, so that no question walks over all Operations. The same
 * entrants (and the same turns taken) give the same answers, in whatever order they came. docs/contract.md#conflicts,
 * docs/contract.md#queue.
 */
export class Line {
  readonly #limits: Limits;
  #capacity: Capacity;
  readonly #entrants = new Map<string, Entrant>();
  readonly #namespaces = new Map<string, NamespaceLine>();
  /** The namespaces in which an Operation could run if there were room; the one whose turn is next comes first. */
  readonly #order = new Sorted<Turn>(byTurn);
  /** The entry of each namespace in that order. */
  readonly #turnOf = new Map<string, Turn>();
  readonly #waitingNamespaces: Record<Type, number> = { Backup: 0, Restore: 0 };
  readonly #inVelero: Record<Type, number> = { Backup: 0, Restore: 0 };
  #slots = 0;
  #lastTurn = 0;
  #free: Set<string> | undefined;
  #positions: Map<string, number> | undefined;

  constructor(limits: Limits, capacity: Capacity) {
    this.#limits = limits;
    this.#capacity = capacity;
  }

  set capacity(capacity: Capacity) {
    this.#capacity = capacity;
    this.#free = undefined;
  }

  entrant(uid: string): Entrant | undefined {
    return this.#entrants.get(uid);
  }

  /** @returns whether this changed the line */
  set(entrant: Entrant): boolean {
    const last = this.#entrants.get(entrant.uid);
    if (last !== undefined && isSame(last, entrant)) return false;
    if (last !== undefined) this.#leave(last);
    this.#enter(entrant);
    if (last?.state === "waiting" && entrant.state === "underWay") this.#take(entrant.namespace, this.#lastTurn + 1);
    this.#free = undefined;
    return true;
  }

  /** @returns whether this changed the line */
  remove(uid: string): boolean {
    const last = this.#entrants.get(uid);
    if (last === undefined) return false;
    this.#leave(last);
    this.#entrants.delete(uid);
    this.#free = undefined;
    return true;
  }

  /** Sets what is at work in a namespace although its Operation is gone. It takes no slot: nobody would know when to free that. */
  setOrphanedWork(namespace: string, left: readonly OrphanedWork[]): void {
    const line = this.#namespaces.get(namespace) ?? new NamespaceLine(namespace);
    if (line.orphanedWork.length === 0 && left.length === 0) return;
    this.#namespaces.set(namespace, line);
    line.orphanedWork = left;
    this.#placeInOrder(line);
    this.#free = undefined;
  }

  /** Records a turn that the namespace took before this Line existed. @param at in milliseconds since 1970 */
  served(namespace: string, at: number): void {
    this.#take(namespace, at);
  }

  /** The Operations whose turn it is. All of them can be admitted at the same time. */
  free(): ReadonlySet<string> {
    this.#free ??= this.#findFree();
    return this.#free;
  }

  /** The place of an Operation that waits; undefined for any other. */
  place(uid: string): Place | undefined {
    const self = this.#entrants.get(uid);
    if (self?.state !== "waiting") return undefined;
    if (this.free().has(uid)) return { kind: "free" };
    const namespace = this.#namespaces.get(self.namespace);
    const conflict = namespace?.conflictOf(self);
    if (conflict !== undefined) return conflict;
    this.#positions ??= this.#findPositions();
    const total = this.#positions.size;
    const noSlot =
      this.#slots + this.free().size >= this.#limits.maxConcurrent ||
      (namespace?.slots ?? 0) >= this.#limits.maxConcurrentPerNamespace;
    return {
      kind: "queued",
      for: noSlot ? "slot" : "velero",
      // An Operation that came after the last count is at the end until the next one.
      position: this.#positions.get(uid) ?? total + 1,
      total: this.#positions.has(uid) ? total : total + 1,
    };
  }

  /** Counts the positions anew, for {@link place} from now on. @returns the UIDs in that order */
  count(): Iterable<string> {
    this.#positions = this.#findPositions();
    return this.#positions.keys();
  }

  /** All Operations that wait for their turn, in no order. */
  *waiting(): Iterable<Entrant> {
    for (const entrant of this.#entrants.values()) if (entrant.state === "waiting") yield entrant;
  }

  front(namespace: string): readonly Entrant[] {
    return this.#namespaces.get(namespace)?.front() ?? [];
  }

  #enter(entrant: Entrant): void {
    this.#entrants.set(entrant.uid, entrant);
    if (entrant.state === "underWay") this.#slots += 1;
    if (entrant.inVelero) this.#inVelero[entrant.type] += 1;
    const namespace = this.#namespaces.get(entrant.namespace) ?? new NamespaceLine(entrant.namespace);
    this.#namespaces.set(entrant.namespace, namespace);
    namespace.add(entrant);
    this.#placeInOrder(namespace);
  }

  #leave(entrant: Entrant): void {
    if (entrant.state === "underWay") this.#slots -= 1;
    if (entrant.inVelero) this.#inVelero[entrant.type] -= 1;
    const namespace = this.#namespaces.get(entrant.namespace);
    if (namespace === undefined) return;
    namespace.remove(entrant);
    this.#placeInOrder(namespace);
  }

  #take(name: string, turn: number): void {
    this.#lastTurn = Math.max(this.#lastTurn, turn);
    const namespace = this.#namespaces.get(name) ?? new NamespaceLine(name);
    this.#namespaces.set(name, namespace);
    if (turn <= namespace.lastServedAt) return;
    namespace.lastServedAt = turn;
    this.#placeInOrder(namespace);
    this.#free = undefined;
  }

  /** Must be called whenever the namespace's turn, or whether an Operation could take it, may have changed. */
  #placeInOrder(namespace: NamespaceLine): void {
    const last = this.#turnOf.get(namespace.name);
    const head = namespace.readyCount > 0 ? namespace.at(0) : undefined;
    if (last !== undefined && last.head === head && last.turn === namespace.lastServedAt) return;
    if (last !== undefined) {
      this.#order.remove(last);
      this.#waitingNamespaces[last.head.type] -= 1;
      this.#turnOf.delete(namespace.name);
    }
    if (head === undefined) return;
    const next = { namespace, turn: namespace.lastServedAt, head };
    this.#order.add(next);
    this.#waitingNamespaces[head.type] += 1;
    this.#turnOf.set(namespace.name, next);
  }

  /** Lets the namespaces take turns until there is no room, or no Operation that could use it. */
  #findFree(): Set<string> {
    const free = new Set<string>();
    const room = {
      Backup: this.#backupPlaces() - this.#inVelero.Backup,
      Restore: this.#capacity.Restore - this.#inVelero.Restore,
    };
    let slots = this.#limits.maxConcurrent - this.#slots;
    for (let round = 0; ; round += 1) {
      const before = free.size;
      for (const { namespace } of this.#order) {
        if (slots <= 0 || TYPES.every((type) => room[type] <= 0 || this.#waitingNamespaces[type] === 0)) return free;
        const next = round < namespace.readyCount ? namespace.at(round) : undefined;
        // A namespace at its limit holds up no other.
        const isFull = namespace.slots + round >= this.#limits.maxConcurrentPerNamespace;
        if (next === undefined || room[next.type] <= 0 || isFull) continue;
        free.add(next.uid);
        room[next.type] -= 1;
        slots -= 1;
      }
      if (free.size === before) return free;
    }
  }

  #backupPlaces(): number {
    const { Backup: places, nextBackups } = this.#capacity;
    let waiting = 0;
    for (const { namespace, head } of this.#order) {
      if (head.type === "Backup") waiting += namespace.readyCount;
      if (waiting > FEW_BACKUPS) return places + nextBackups;
    }
    return places;
  }

  /** In the order in which the Operations would go if there were room for one after the other. */
  #findPositions(): Map<string, number> {
    const free = this.free();
    const positions = new Map<string, number>();
    let going = [...this.#order].map(({ namespace }) => ({ namespace, ready: namespace.readyCount }));
    for (let round = 0; going.length > 0; round += 1) {
      for (const { namespace } of going) {
        const next = namespace.at(round);
        if (next !== undefined && !free.has(next.uid)) positions.set(next.uid, positions.size + 1);
      }
      going = going.filter(({ ready }) => round + 1 < ready);
    }
    return positions;
  }
}

interface Turn {
  readonly namespace: NamespaceLine;
  readonly turn: number;
  readonly head: Entrant;
}

function byTurn(a: Turn, b: Turn): number {
  return a.turn - b.turn || byAge(a.head, b.head);
}
