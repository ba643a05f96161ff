import fc from "fast-check";

const PEOPLE = [
  "create backup",
  "create restore",
  "cancel",
  "take the cancel back",
  "rerun",
  "delete the Operation",
  "make a Job by hand",
  "copy a Job",
  "replace a Job",
  "delete a Job",
  "delete Velero's object",
  "make a Backup of that name",
] as const;
const VELERO = [
  "velero breaks early",
  "velero breaks late",
  "velero refuses",
  "velero refuses for a moment",
  "the location changes",
  "velero restarts",
  "velero has second thoughts",
  "velero syncs",
  "velero stops",
  "velero stumbles over a request",
  "velero jumps",
] as const;
const FAULTS = [
  "runner ends early",
  "a queue holds a Job back",
  "a queue lets a Job go on",
  "a node rejects pods",
  "runner's next write",
  "dispatcher's next write",
  "dispatcher killed",
  "a second dispatcher",
  "watches lag",
  "one watch lags",
  "watches break",
  "history is compacted",
] as const;

export type EventKind = "velero goes on" | (typeof PEOPLE)[number] | (typeof VELERO)[number] | (typeof FAULTS)[number];

/** What may happen; the number chooses among what there is at that time. After it, that many milliseconds pass. */
export type RandomEvent = readonly [what: EventKind, which: number, waitMs: number];

/** One history. */
export interface SystemHistory {
  /** What lies in the store under the first backup's name before all this; `synced`: it has its Backup, too. */
  readonly older: "none" | "files" | "synced";
  /** How long the calls take, one after the other and over again, in milliseconds each way. */
  readonly latencies: readonly number[];
  readonly events: readonly RandomEvent[];
}

const which = fc.nat(29);
const wait = fc.constantFrom(0, 0, 10, 100, 100, 3_000, 12_000);

/** How most begin: a backup, and Velero is at it. */
const beginning: fc.Arbitrary<RandomEvent[]> = fc
  .tuple(fc.nat(6), fc.constantFrom(25, 60, 200))
  .map(([steps, first]) => [
    ["create backup", 0, first],
    ...Array<RandomEvent>(steps).fill(["velero goes on", 0, 100]),
  ]);

/** Each history has a few kinds of trouble, not all: else what one of them brings about hides behind the others. */
const middle: fc.Arbitrary<RandomEvent[]> = fc
  .tuple(
    fc.subarray([...PEOPLE], { minLength: 1, maxLength: 3 }),
    fc.subarray([...VELERO], { maxLength: 2 }),
    fc.subarray([...FAULTS], { maxLength: 2 }),
  )
  .chain((troubles) => {
    const all = troubles.flat();
    const going = all.map(() => "velero goes on" as const);
    const what = fc.constantFrom<EventKind[]>(...all, ...going);
    return fc.array(fc.tuple(what, which, wait), { minLength: 2, maxLength: 18, size: "max" });
  });

export const systemHistory: fc.Arbitrary<SystemHistory> = fc.record({
  older: fc.constantFrom("none" as const, "files" as const, "synced" as const),
  latencies: fc.array(fc.constantFrom(0, 0, 0, 2, 15, 60), { minLength: 1, maxLength: 7 }),
  events: fc.tuple(beginning, middle).map((parts) => parts.flat()),
});
