import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import { LiveLine } from "../../../src/dispatcher/liveLine.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { WritesInFlight } from "../../../src/dispatcher/state/writesInFlight.ts";
import { FakeClock } from "../kube/fakeClock.ts";
import { recordingLogger } from "../kube/loopback.ts";
import { keyOf } from "./clusterObjects.ts";
import { Cluster } from "./fakeCluster.ts";

/** How often positions are told anew, in milliseconds. */
const TELL_MS = 3_000;

let cluster: Cluster;
let clock: FakeClock;
let line: LiveLine;
let writesInFlight: WritesInFlight;
/** What was asked to be decided since it was last looked at. */
let decided: { readonly key: string; readonly urgent: boolean }[];

beforeEach(() => {
  cluster = new Cluster();
  clock = new FakeClock();
  // A line of an earlier test may still finish its round.
  const ofThisTest: typeof decided = [];
  decided = ofThisTest;
  writesInFlight = new WritesInFlight((operation) => line.touch(keyOf(Object(operation))));
  const world = cluster.world();
  line = new LiveLine({
    limits: settingsSchema.parse({}).limits,
    capacity: { Backup: 2, nextBackups: 0, Restore: 2 },
    world: () => world,
    operation: (key) => {
      const operation = cluster.operations.get(key);
      return operation && writesInFlight.current(operation);
    },
    operationByUid: (uid) => [...cluster.operations.values()].find(({ metadata }) => metadata.uid === uid),
    decide: (key, { urgent }) => ofThisTest.push({ key, urgent }),
    clock,
    logger: recordingLogger().logger,
  });
  const stop = new AbortController();
  void line.run(stop.signal);
  onTestFinished(() => stop.abort());
});

const add = (number: number, namespace = `org-${number % 10}`) => {
  const minute = String(number % 60).padStart(2, "0");
  const hour = String(10 + Math.floor(number / 60)).padStart(2, "0");
  const creationTimestamp = `2026-11-22T${hour}:${minute}:00Z`;
  const operation = cluster.add({ name: `op-${number}`, namespace, creationTimestamp });
  line.note(keyOf(operation), operation, undefined);
  return operation;
};

/** The status that admits an Operation. */
const admittedStatus = (operation: VeleroOperation) => {
  const { action } = cluster.decide(operation);
  if (action?.kind !== "writeStatus") throw new Error(`${operation.metadata.name} is not admitted`);
  return action.status;
};

/** As the dispatcher decides upon it, and the API server writes it. */
const decide = async (operation: VeleroOperation) => {
  line.judgeAnew(operation);
  while (!line.isUpToDate) await line.judge();
  const place = line.placeOf(operation);
  const before = cluster.current(operation);
  if (place.kind === "free") cluster.settle(operation);
  line.note(keyOf(operation), cluster.current(operation), before);
  await clock.advance(0);
};
const end = (operation: VeleroOperation) => {
  const before = cluster.current(operation);
  const after = cluster.setStatus(operation, { ...before.status, phase: "Succeeded" });
  line.note(keyOf(operation), after, before);
  return clock.advance(0);
};
const urgent = () => decided.splice(0).flatMap(({ key, urgent }) => (urgent ? [key] : []));

test("of five hundred only those are decided upon whose turn it is, and by each end only one more", async () => {
  const all = Array.from({ length: 500 }, (_, number) => add(number));
  await clock.advance(0);
  expect(urgent()).toEqual(["org-0/op-0", "org-1/op-1"]);
  await decide(all[0] as VeleroOperation);
  await decide(all[1] as VeleroOperation);
  expect(urgent()).toEqual([]);
  await end(all[0] as VeleroOperation);
  expect(urgent()).toEqual(["org-2/op-2"]);
  await end(all[1] as VeleroOperation);
  expect(urgent()).toEqual(["org-3/op-3"]);
});

test("the others are told where they stand a hundred at a time, and no more often than every few seconds", async () => {
  for (let number = 0; number < 300; number += 1) add(number);
  await clock.advance(TELL_MS - 1);
  const once = decided.splice(0).filter(({ urgent }) => !urgent);
  expect(once.length).toBeLessThanOrEqual(200);
  await clock.advance(TELL_MS);
  expect(decided.splice(0)).toHaveLength(100);
});

test("one that was called and then overtaken is called again when its turn comes back", async () => {
  const [late, other] = [add(5, "org-a"), add(6, "org-b")];
  await clock.advance(0);
  expect(urgent()).toEqual(["org-a/op-5", "org-b/op-6"]);
  // Two of two other teams, both of them older, come just before it is decided, and are gone just after.
  const older = [add(1, "org-c"), add(2, "org-d")];
  void line.judge();
  expect([late, other].map((one) => line.placeOf(one).kind)).toEqual(["queued", "queued"]);
  for (const one of older) {
    cluster.annotate(one, { "ops.vworkspace.io/cancel": "true" });
    line.touch(keyOf(one));
  }
  await clock.advance(0);
  expect(urgent()).toEqual(["org-a/op-5", "org-b/op-6"]);
});

test("one whose turn comes to nothing does not keep it from others, and has it back when it is tried again", async () => {
  const [first, second, third] = [add(1), add(2), add(3)];
  await clock.advance(0);
  expect(urgent()).toEqual([keyOf(first), keyOf(second)]);
  line.setAside(first);
  await clock.advance(0);
  expect(urgent()).toEqual([keyOf(third)]);
  line.judgeAnew(first);
  while (!line.isUpToDate) await line.judge();
  expect(line.placeOf(first)).toEqual({ kind: "free" });
});

test("an admission that the API server refuses is not asked for again until the watch shows why", async () => {
  const operation = add(1);
  await clock.advance(0);
  expect(urgent()).toEqual([keyOf(operation)]);
  writesInFlight.begin(operation, admittedStatus(operation));
  await clock.advance(0);
  // A conflict, a quota, a status that is too large.
  writesInFlight.drop(operation);
  line.setAside(operation);
  await clock.advance(0);
  expect(urgent()).toEqual([]);
  line.note(keyOf(operation), operation, operation);
  await clock.advance(0);
  expect(urgent()).toEqual([keyOf(operation)]);
});

test("an admission that got no answer keeps its place while it is tried again", async () => {
  const [first, second] = [add(1, "org-a"), add(2, "org-b")];
  await clock.advance(0);
  expect(urgent()).toEqual([keyOf(first), keyOf(second)]);
  writesInFlight.begin(first, admittedStatus(first));
  writesInFlight.begin(second, admittedStatus(second));
  await clock.advance(0);
  add(3, "org-c");
  await clock.advance(0);
  expect(line.placeOf(first)).toEqual({ kind: "free" });
  expect(urgent()).toEqual([]);
});

test("judging many lets everything else have its turn", async () => {
  for (let number = 0; number < 300; number += 1) add(number);
  // Each judgement takes a millisecond, on this clock.
  let ms = 0;
  clock.monotonic = () => {
    ms += 1;
    return ms;
  };
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (!line.isUpToDate) setImmediate(turn);
  };
  setImmediate(turn);
  await line.judge();
  expect(turns).toBeGreaterThan(5);
});

test("what Velero does at once makes room as soon as it is known", async () => {
  for (let number = 0; number < 5; number += 1) add(number);
  await clock.advance(0);
  expect(urgent()).toHaveLength(2);
  line.capacity = { Backup: 4, nextBackups: 0, Restore: 2 };
  await clock.advance(0);
  expect(urgent()).toEqual(["org-2/op-2", "org-3/op-3"]);
});
