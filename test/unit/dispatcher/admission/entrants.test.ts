import { beforeEach, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { positionText } from "../../../../src/dispatcher/admission/entrants.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { condition, type OperationChange } from "../clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
  // What waits for room in Velero has tests of its own (veleroRoom).
  cluster.concurrentBackups = 2;
});

const at = (minute: number) => `2026-11-22T09:${String(minute).padStart(2, "0")}:00Z`;
const add = (minute: number, change: OperationChange = {}) =>
  cluster.add({ name: `at-${minute}`, creationTimestamp: at(minute), ...change });
const limits = (maxConcurrent: number, maxConcurrentPerNamespace = maxConcurrent) => {
  cluster.settings = settingsSchema.parse({ limits: { maxConcurrent, maxConcurrentPerNamespace } });
};
const standing = (operation: ReturnType<typeof add>) => {
  const status = cluster.status(cluster.settle(operation));
  const { message } = status.conditions?.find(({ type, status }) => type === "Blocked" && status === "True") ?? {};
  return message ?? messageOf(status, "Running");
};
const RUNS = /^Job at-\d+-[0-9a-f]{10} carries it out$/;
const finish = (operation: ReturnType<typeof add>) =>
  cluster.setStatus(operation, { ...cluster.status(operation), phase: "Succeeded" });

test("Backups of one namespace run side by side", () => {
  expect(standing(add(1))).toMatch(RUNS);
  expect(standing(add(2))).toMatch(RUNS);
});

test("a Restore runs alone in its namespace, and holds up no other one", () => {
  const restore = add(1, { type: "Restore" });
  expect(standing(restore)).toMatch(RUNS);
  const backup = add(2);
  const another = add(3, { type: "Restore" });
  expect(standing(backup)).toBe("waits for the Restore at-1 in this namespace, which is under way");
  expect(standing(another)).toBe("waits for the Backup at-2 in this namespace, which is ahead");
  expect(standing(add(4, { type: "Restore", namespace: "org-b" }))).toMatch(RUNS);
  finish(restore);
  expect(standing(another)).toBe("waits for the Backup at-2 in this namespace, which is ahead");
  expect(standing(backup)).toMatch(RUNS);
  expect(conditionsOf(cluster.status(backup))).toContain("Blocked=False/Unblocked");
  finish(backup);
  expect(standing(another)).toMatch(RUNS);
});

test("one under way is waited for even by older ones", () => {
  expect(standing(add(9, { type: "Restore" }))).toMatch(RUNS);
  expect(standing(add(1))).toBe("waits for the Restore at-9 in this namespace, which is under way");
});

test("whatever is decided first, the older one goes first; the UID decides between equals", () => {
  const younger = add(2, { type: "Restore", name: "younger" });
  const equal = add(1, { type: "Restore", name: "equal", uid: "b" });
  const oldest = add(1, { type: "Restore", name: "oldest", uid: "a" });
  expect(standing(younger)).toMatch(/^waits for the Restore equal in this namespace, which is ahead$/);
  expect(standing(equal)).toMatch(/^waits for the Restore oldest in this namespace, which is ahead$/);
  expect(standing(oldest)).toMatch(/^Job oldest-/);
});

test.each<[string, OperationChange, () => void]>([
  ["for its target", {}, () => cluster.target("org-a", { ready: [condition("Ready", "False", "Broken")] })],
  ["for an approval", { approvals: { required: true } }, () => undefined],
  ["for a location", { parameters: { storageLocation: "cold" } }, () => undefined],
  ["to be cancelled", { annotations: { "ops.vworkspace.io/cancel": "true" } }, () => undefined],
  ["to be deleted", { deletionTimestamp: "2026-11-22T10:00:00Z" }, () => undefined],
  ["to be refused", { labels: { "velero.io/restore-name": "r" } }, () => undefined],
  ["to fail", { parameters: { ttl: "-1h" } }, () => undefined],
])("one that waits %s blocks nobody, before anybody has looked at it", (_, change, world) => {
  add(1, change);
  const restore = add(2, { type: "Restore" });
  world();
  expect(standing(restore)).toMatch(RUNS);
});

/** As a version of this program ended it that gave a Job no successor while Velero was at work. */
function giveUp(operation: VeleroOperation): void {
  cluster.endJob(cluster.job(operation), "Failed");
  const { conditions = [], ...rest } = cluster.status(operation);
  const failed = { type: "Failed", status: "True", reason: "RunnerFailed", message: "" } as const;
  const at = { lastTransitionTime: "2026-11-22T11:00:00Z" };
  cluster.setStatus(operation, { ...rest, phase: "Failed", conditions: [...conditions, { ...failed, ...at }] });
}

test("an ended one blocks nobody, unless its runner gave up and Velero did not", () => {
  const backup = add(1);
  cluster.settle(backup);
  const restore = add(2, { type: "Restore" });
  cluster.join(backup, cluster.job(backup));
  const object = cluster.veleroObject(backup, "InProgress");
  giveUp(backup);
  expect(standing(restore)).toBe("waits for the Backup at-1 in this namespace, which is under way");
  for (const phase of ["FinalizingPartiallyFailed", "SomethingNew"]) {
    cluster.setVeleroPhase(object, phase);
    expect(standing(restore)).toMatch(/^waits for/);
  }
  cluster.setVeleroPhase(object, "Deleting");
  expect(standing(restore)).toMatch(RUNS);
});

test("one that is deleted but held by somebody's finalizer keeps its place only while there is work on it", () => {
  limits(1);
  const backup = add(1);
  cluster.settle(backup);
  cluster.join(backup, cluster.job(backup));
  const object = cluster.veleroObject(backup, "InProgress");
  const { metadata, ...rest } = cluster.current(backup);
  const deleted = { ...metadata, deletionTimestamp: "2026-11-22T12:00:00Z" };
  cluster.operations.set("org-a/at-1", { ...rest, metadata: deleted });
  const [restore, other] = [add(2, { type: "Restore" }), add(3, { namespace: "org-b" })];
  expect(standing(restore)).toMatch(/^waits for the Backup at-1/);
  cluster.endJob(cluster.job(backup), "Complete");
  expect(standing(restore)).toMatch(/^waits for the Backup at-1/);
  expect(standing(other)).toMatch(/^waits for a free slot/);
  cluster.setVeleroPhase(object, "Completed");
  // The other namespace has its turn.
  expect(standing(other)).toMatch(RUNS);
  finish(other);
  expect(standing(restore)).toMatch(RUNS);
});

test("what a deleted Operation has left at work holds its namespace, and takes no slot", () => {
  limits(1);
  const backup = add(1);
  cluster.settle(backup);
  const job = cluster.job(backup);
  const object = cluster.veleroObject(backup, "InProgress");
  cluster.operations.delete("org-a/at-1");
  const [restore, beside, other] = [add(2, { type: "Restore" }), add(3), add(4, { namespace: "org-b" })];
  expect(standing(restore)).toBe(
    "waits for Backup velero/velero-object, which is at work in this namespace though its Operation was deleted",
  );
  expect(standing(beside)).toBe("waits for the Restore at-2 in this namespace, which is ahead");
  expect(standing(other)).toMatch(RUNS);
  finish(other);
  cluster.setVeleroPhase(object, "Completed");
  expect(standing(restore)).toMatch(/^waits for Job vworkspace-system\/at-1-[0-9a-f]{10}, which is at work/);
  cluster.endJob(job, "Complete");
  expect(standing(restore)).toMatch(RUNS);
});

test("slots are given in order, and the others say where they stand", () => {
  limits(1);
  const first = add(1);
  const others = [2, 3, 4].map((minute) => add(minute, { namespace: `org-${minute}` }));
  expect(standing(first)).toMatch(RUNS);
  expect(others.map(standing)).toEqual([
    "waits for a free slot, position 1 of 3",
    "waits for a free slot, position 2 of 3",
    "waits for a free slot, position 3 of 3",
  ]);
  expect(others.map((operation) => conditionsOf(cluster.status(operation)))).toEqual(
    new Array(3).fill(["Accepted=Unknown/Pending", "Running=False/Queued"]),
  );
  finish(first);
  expect(standing(others[2] ?? first)).toBe("waits for a free slot, position 2 of 2");
  expect(standing(others[0] ?? first)).toMatch(RUNS);
  expect(standing(others[1] ?? first)).toBe("waits for a free slot, position 1 of 2");
});

test("a namespace at its limit holds up nobody else's", () => {
  limits(3, 1);
  expect(standing(add(1))).toMatch(RUNS);
  expect(standing(add(2))).toBe("waits for a free slot, position 1 of 1");
  expect(standing(add(3, { namespace: "org-b" }))).toMatch(RUNS);
});

test("who waits for another in its namespace takes no slot from the rest", () => {
  limits(2);
  expect(standing(add(1, { type: "Restore" }))).toMatch(RUNS);
  expect(standing(add(2))).toMatch(/^waits for the Restore/);
  expect(standing(add(3, { namespace: "org-b" }))).toMatch(RUNS);
});

test("a free slot is kept for an older one that has not been looked at yet", () => {
  limits(1);
  add(1, { namespace: "org-b" });
  expect(standing(add(2))).toBe("waits for a free slot, position 1 of 1");
});

test("one whose runner gave up keeps its slot while Velero goes on", () => {
  limits(1);
  const backup = add(1);
  cluster.settle(backup);
  cluster.join(backup, cluster.job(backup));
  const object = cluster.veleroObject(backup, "InProgress");
  giveUp(backup);
  const other = add(2, { namespace: "org-b" });
  expect(standing(other)).toBe("waits for a free slot, position 1 of 1");
  cluster.setVeleroPhase(object, "Completed");
  expect(standing(other)).toMatch(RUNS);
});

test.each([
  [1, 1, "position 1 of 1"],
  [3, 12, "position 3 of 12"],
  [10, 20, "position 10 of 20"],
  [11, 20, "position over 10 of 20"],
  [10, 21, "position 10 of over 20"],
  [20, 21, "position over 10 of over 20"],
  [21, 50, "position over 20 of over 20"],
  [51, 100, "position over 50 of over 50"],
  [101, 500, "position over 100 of over 200"],
  [499, 501, "position over 200 of over 500"],
  [1001, 5001, "position over 1000 of over 5000"],
])("position %i of %i reads %s", (position, total, text) => {
  expect(positionText({ position, total })).toBe(text);
});
