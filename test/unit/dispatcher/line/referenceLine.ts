import { byAge, conflicts, type Entrant } from "../../../../src/dispatcher/line/entrant.ts";
import { type Capacity, FEW_BACKUPS, type Limits, type Place } from "../../../../src/dispatcher/line/line.ts";
import type { OrphanedWork } from "../../../../src/dispatcher/line/namespaceLine.ts";

/** Everything that decides who goes first. */
export interface Everybody {
  readonly entrants: readonly Entrant[];
  readonly limits: Limits;
  readonly capacity: Capacity;
  readonly left: ReadonlyMap<string, readonly OrphanedWork[]>;
  /** When each namespace had its last turn; never, if it is not here. */
  readonly turns: ReadonlyMap<string, number>;
}

/** The rules of docs/contract.md#conflicts, docs/contract.md#queue, told as plainly as they can be: everybody is asked about everybody. */
export function referencePlaces(all: Everybody): Map<string, Place> {
  const waiting = all.entrants.filter(({ state }) => state === "waiting").sort(byAge);
  const places = new Map<string, Place>();
  const free = take(all, waiting, "with room");
  const queued = take(all, waiting, "whether or not there is room").filter((one) => !free.includes(one));
  for (const self of waiting) {
    const conflict = conflictOf(self, all);
    const position = queued.indexOf(self) + 1;
    if (free.includes(self)) places.set(self.uid, { kind: "free" });
    else if (conflict !== undefined) places.set(self.uid, conflict);
    else places.set(self.uid, { kind: "queued", for: reason(self, free, all), position, total: queued.length });
  }
  return places;
}

function reason(self: Entrant, free: readonly Entrant[], { entrants, limits }: Everybody): "slot" | "velero" {
  const underWay = entrants.filter(({ state }) => state === "underWay");
  const here = underWay.filter(({ namespace }) => namespace === self.namespace);
  const full = underWay.length + free.length >= limits.maxConcurrent || here.length >= limits.maxConcurrentPerNamespace;
  return full ? "slot" : "velero";
}

/** Takes one after the other, as if each were under way once it is taken. */
function take(
  all: Everybody,
  waiting: readonly Entrant[],
  how: "with room" | "whether or not there is room",
): Entrant[] {
  const taken: Entrant[] = [];
  const candidates = waiting.filter((self) => conflictOf(self, all) === undefined);
  for (;;) {
    const rounds = (name: string) => taken.filter(({ namespace }) => namespace === name).length;
    const oldest = (name: string) => candidates.find(({ namespace }) => namespace === name) as Entrant;
    const next = candidates
      .filter((one) => !taken.includes(one) && (how !== "with room" || hasRoom(one, taken, all)))
      .sort(
        (a, b) =>
          rounds(a.namespace) - rounds(b.namespace) ||
          (all.turns.get(a.namespace) ?? 0) - (all.turns.get(b.namespace) ?? 0) ||
          byAge(oldest(a.namespace), oldest(b.namespace)) ||
          byAge(a, b),
      )[0];
    if (next === undefined) return taken;
    taken.push(next);
  }
}

function hasRoom(self: Entrant, taken: readonly Entrant[], all: Everybody): boolean {
  const { entrants, limits, capacity } = all;
  const ready = entrants.filter((one) => one.state === "waiting" && conflictOf(one, all) === undefined);
  const many = ready.filter(({ type }) => type === "Backup").length > FEW_BACKUPS;
  const places = capacity[self.type] + (self.type === "Backup" && many ? capacity.nextBackups : 0);
  const underWay = [...entrants.filter(({ state }) => state === "underWay"), ...taken];
  const here = underWay.filter(({ namespace }) => namespace === self.namespace);
  const inVelero = [...entrants.filter((one) => one.inVelero), ...taken].filter(({ type }) => type === self.type);
  return (
    underWay.length < limits.maxConcurrent && here.length < limits.maxConcurrentPerNamespace && inVelero.length < places
  );
}

/** As it was before there was a Line: everybody else in the namespace is looked at. */
function conflictOf(self: Entrant, { entrants, left }: Everybody): Place | undefined {
  const inTheWay = (other: Entrant) =>
    other.uid !== self.uid && other.namespace === self.namespace && conflicts(self, other);
  const running = entrants.filter((one) => one.state === "underWay" && inTheWay(one)).sort(byAge);
  const ahead = entrants.filter((one) => one.state === "waiting" && inTheWay(one) && byAge(one, self) < 0);
  const before = [...running.filter((one) => byAge(one, self) < 0), ...ahead].sort(byAge).at(-1) ?? running[0];
  if (before !== undefined) {
    return { kind: "conflict", other: before, otherIs: running.includes(before) ? "under way" : "ahead" };
  }
  const found = left.get(self.namespace)?.find(({ isBackup }) => self.type === "Restore" || !isBackup);
  return found && { kind: "orphanedWork", what: found.what };
}
