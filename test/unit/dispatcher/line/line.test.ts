import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entrant } from "../../../../src/dispatcher/line/entrant.ts";
import { type Capacity, type Limits, Line, type Place } from "../../../../src/dispatcher/line/line.ts";
import type { OrphanedWork } from "../../../../src/dispatcher/line/namespaceLine.ts";
import { referencePlaces } from "./referenceLine.ts";

const NAMESPACES = ["org-a", "org-b", "org-c"];

const entrant: fc.Arbitrary<Entrant> = fc
  .record({
    uid: fc.nat(14).map((number) => `uid-${number}`),
    state: fc.constantFrom("waiting" as const, "waiting" as const, "underWay" as const),
    inVelero: fc.boolean(),
  })
  .map(({ uid, state, inVelero }) => {
    // What an Operation is does not change; only where it stands does.
    const number = Number(uid.slice(4));
    return {
      uid,
      namespace: NAMESPACES[number % 3] ?? "",
      name: `name-${number}`,
      type: number % 4 === 0 ? "Restore" : "Backup",
      creationTimestamp: `2026-11-22T10:00:0${number % 5}Z`,
      state,
      inVelero: state === "underWay" && inVelero,
    };
  });

const left: fc.Arbitrary<OrphanedWork[]> = fc.array(
  fc.record({ isBackup: fc.boolean(), what: fc.constant("Job a/b") }),
  {
    maxLength: 2,
  },
);

type Change =
  | { readonly kind: "set"; readonly entrant: Entrant }
  | { readonly kind: "remove"; readonly uid: string }
  | { readonly kind: "left"; readonly namespace: string; readonly left: OrphanedWork[] }
  | { readonly kind: "served"; readonly namespace: string; readonly at: number }
  | { readonly kind: "capacity"; readonly capacity: Capacity };

const namespace = fc.constantFrom(...NAMESPACES);
const capacity = fc.record({
  Backup: fc.integer({ min: 1, max: 3 }),
  nextBackups: fc.integer({ min: 0, max: 1 }),
  Restore: fc.integer({ min: 1, max: 2 }),
});
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("set" as const), entrant }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), uid: entrant.map(({ uid }) => uid) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("left" as const), namespace, left }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("served" as const), namespace, at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("capacity" as const), capacity }) },
);

const limits: fc.Arbitrary<Limits> = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  maxConcurrentPerNamespace: fc.integer({ min: 1, max: 4 }),
});

/** What Velero may have at once where it goes on with none by itself. */
const TWO_OF_EACH: Capacity = { Backup: 2, nextBackups: 0, Restore: 2 };

/** A Line and, beside it, all that a reader of the rules has to know. */
class Both {
  readonly line: Line;
  readonly entrants = new Map<string, Entrant>();
  readonly left = new Map<string, OrphanedWork[]>();
  readonly turns = new Map<string, number>();
  readonly limits: Limits;
  capacity: Capacity = TWO_OF_EACH;
  #lastTurn = 0;

  constructor(limits: Limits) {
    this.limits = limits;
    this.line = new Line(limits, this.capacity);
  }

  change(change: Change): void {
    switch (change.kind) {
      case "set": {
        const last = this.entrants.get(change.entrant.uid);
        this.entrants.set(change.entrant.uid, change.entrant);
        if (last?.state === "waiting" && change.entrant.state === "underWay") {
          this.#take(change.entrant.namespace, this.#lastTurn + 1);
        }
        this.line.set(change.entrant);
        return;
      }
      case "remove":
        this.entrants.delete(change.uid);
        this.line.remove(change.uid);
        return;
      case "left":
        this.left.set(change.namespace, change.left);
        this.line.setOrphanedWork(change.namespace, change.left);
        return;
      case "served":
        this.#take(change.namespace, change.at);
        this.line.served(change.namespace, change.at);
        return;
      case "capacity":
        this.capacity = change.capacity;
        this.line.capacity = change.capacity;
    }
  }

  #take(namespace: string, turn: number): void {
    this.#lastTurn = Math.max(this.#lastTurn, turn);
    this.turns.set(namespace, Math.max(turn, this.turns.get(namespace) ?? 0));
  }

  expected(): Map<string, Place> {
    return referencePlaces({ ...this, entrants: [...this.entrants.values()] });
  }

  found(): Map<string, Place | undefined> {
    return new Map([...this.expected().keys()].map((uid) => [uid, this.line.place(uid)]));
  }
}

test("whatever came before, everybody is told what the rules say of those who are there", () => {
  fc.assert(
    fc.property(limits, fc.array(change, { minLength: 1, maxLength: 40 }), (limit, changes) => {
      const both = new Both(limit);
      for (const each of changes) {
        both.change(each);
        both.line.count();
        expect(both.found()).toEqual(both.expected());
        // Asking changes nothing.
        expect(both.found()).toEqual(both.expected());
      }
    }),
    { numRuns: 1000 },
  );
});

const waiting = (namespace: string, number: number, change: Partial<Entrant> = {}): Entrant => ({
  uid: `${namespace}-${number}`,
  namespace,
  name: `b${number}`,
  type: "Backup",
  creationTimestamp: new Date(Date.UTC(2026, 10, 22, 10, 0, number)).toISOString(),
  state: "waiting",
  inVelero: false,
  ...change,
});

/** Admits whoever is free, ends the longest under way, and so on. @returns the uids as they were admitted */
function drain(line: Line, arriving: (admitted: number) => readonly Entrant[] = () => []): string[] {
  const admitted: Entrant[] = [];
  const underWay: Entrant[] = [];
  for (let idle = 0; idle < 3; ) {
    for (const one of arriving(admitted.length)) line.set(one);
    const [next] = line.free();
    const entrant = next === undefined ? undefined : line.entrant(next);
    idle = entrant === undefined && underWay.length === 0 ? idle + 1 : 0;
    if (entrant !== undefined) {
      line.set({ ...entrant, state: "underWay", inVelero: true });
      admitted.push(entrant);
      underWay.push(entrant);
    } else {
      const ended = underWay.shift();
      if (ended !== undefined) line.remove(ended.uid);
    }
  }
  return admitted.map(({ uid }) => uid);
}

test("namespaces take turns, the oldest first within one: who comes with a thousand waits as long as who comes with one", () => {
  const line = new Line({ maxConcurrent: 10, maxConcurrentPerNamespace: 10 }, TWO_OF_EACH);
  for (let number = 0; number < 1000; number += 1) line.set(waiting("org-crowd", number));
  line.set(waiting("org-small", 1001));
  line.set(waiting("org-small", 1002));
  const order = drain(line);
  expect(order.slice(0, 5)).toEqual(["org-crowd-0", "org-small-1001", "org-crowd-1", "org-small-1002", "org-crowd-2"]);
  expect(order).toHaveLength(1002);
});

test("nobody starves: one that waits has its turn however many others come for ever", () => {
  const line = new Line({ maxConcurrent: 1, maxConcurrentPerNamespace: 1 }, TWO_OF_EACH);
  line.set(waiting("org-late", 999, { type: "Restore" }));
  let number = 0;
  const order = drain(line, (admitted) => {
    if (admitted >= 40) return [];
    number += 1;
    return [waiting(`org-${number % 4}`, number % 900, { uid: `crowd-${number}` })];
  });
  expect(order.indexOf("org-late-999")).toBeLessThan(8);
});

test("a restart keeps the turns as far as the Operations tell of them", () => {
  const line = new Line(
    { maxConcurrent: 10, maxConcurrentPerNamespace: 10 },
    { Backup: 1, nextBackups: 0, Restore: 1 },
  );
  line.served("org-a", Date.parse("2026-11-22T10:00:00Z"));
  line.set(waiting("org-a", 1));
  line.set(waiting("org-b", 2));
  expect([...line.free()]).toEqual(["org-b-2"]);
});

test("Velero gets one more Backup than it works on while many wait, and none of the last few", () => {
  const line = new Line(
    { maxConcurrent: 10, maxConcurrentPerNamespace: 10 },
    { Backup: 1, nextBackups: 1, Restore: 2 },
  );
  for (const number of [1, 2, 3, 4, 5]) line.set(waiting(`org-${number}`, number));
  expect([...line.free()]).toEqual(["org-1-1", "org-2-2"]);
  line.set(waiting("org-1", 1, { state: "underWay", inVelero: true }));
  expect([...line.free()]).toEqual(["org-2-2"]);
  line.remove("org-5-5");
  expect([...line.free()]).toEqual([]);
  line.set(waiting("org-1", 1, { state: "underWay", inVelero: false }));
  expect([...line.free()]).toEqual(["org-2-2"]);
});

test("what Velero has let go of makes room for the next, long before it ends", () => {
  const line = new Line({ maxConcurrent: 10, maxConcurrentPerNamespace: 10 }, TWO_OF_EACH);
  for (const number of [1, 2, 3]) line.set(waiting(`org-${number}`, number));
  for (const number of [1, 2]) line.set(waiting(`org-${number}`, number, { state: "underWay", inVelero: true }));
  expect(line.place("org-3-3")).toEqual({ kind: "queued", for: "velero", position: 1, total: 1 });
  line.set(waiting("org-1", 1, { state: "underWay", inVelero: false }));
  expect(line.place("org-3-3")).toEqual({ kind: "free" });
});

test("positions are as of the last count, and who came since stands at the end", () => {
  const line = new Line({ maxConcurrent: 1, maxConcurrentPerNamespace: 1 }, TWO_OF_EACH);
  for (const number of [1, 2, 3]) line.set(waiting("org-a", number));
  expect(line.place("org-a-3")).toMatchObject({ for: "slot", position: 2, total: 2 });
  line.remove("org-a-2");
  line.set(waiting("org-a", 4));
  expect(line.place("org-a-3")).toMatchObject({ position: 2, total: 2 });
  expect(line.place("org-a-4")).toMatchObject({ position: 3, total: 3 });
  line.count();
  expect(line.place("org-a-3")).toMatchObject({ position: 1, total: 2 });
});
