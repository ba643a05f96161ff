import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { backupSchema } from "../../../../src/api/velero.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

const add = (minute: number, change: Parameters<Cluster["add"]>[0] = {}) =>
  cluster.add({
    name: `at-${minute}`,
    namespace: `org-${minute}`,
    creationTimestamp: `2026-11-22T09:${String(minute).padStart(2, "0")}:00Z`,
    ...change,
  });
const message = (operation: VeleroOperation) => messageOf(cluster.status(cluster.settle(operation)), "Running");
const RUNS = /^Job at-\d+-[0-9a-f]{10} /;

/** A Backup of Velero's that nobody's Operation asked for. */
function foreign(name: string, phase: string): void {
  const metadata = {
    name,
    namespace: "velero",
    uid: name,
    resourceVersion: "1",
    creationTimestamp: "2026-11-22T08:00:00Z",
  };
  cluster.veleroObjects.set(
    name,
    backupSchema.parse({ apiVersion: "velero.io/v1", kind: "Backup", metadata, status: { phase } }),
  );
}

test("of many of ours Velero has what it works on and one that is next; the others wait here, and are told so", () => {
  const [first, second, third, fourth] = [add(1), add(2), add(3), add(4), add(5), add(6)] as const;
  expect([first, second].map(message)).toEqual([expect.stringMatching(RUNS), expect.stringMatching(RUNS)]);
  cluster.join(first, cluster.job(first));
  cluster.veleroObject(first, "InProgress", "b1");
  expect(message(third)).toBe("waits for Velero, which works on 1 Backup, position 1 of 4");
  cluster.join(second, cluster.job(second));
  cluster.veleroObject(second, "Queued", "b2");
  expect(message(fourth)).toBe("waits for Velero, which works on 1 Backup and has 1 in line, position 2 of 4");
  expect(conditionsOf(cluster.status(fourth))).toEqual(["Accepted=Unknown/Pending", "Running=False/Queued"]);
});

test("of the last few none waits in Velero's own queue, where it could stay for a minute", () => {
  const [first, second] = [add(1), add(2), add(3), add(4)];
  expect(message(first)).toMatch(RUNS);
  expect(message(second)).toBe("waits for Velero, which works on 0 Backups, position 1 of 3");
});

test.each(["WaitingForPluginOperations", "Finalizing", "FinalizingPartiallyFailed", "Completed"])(
  "what Velero calls %s holds no place there",
  (phase) => {
    const [first, second] = [add(1), add(2)];
    cluster.settle(first);
    cluster.join(first, cluster.job(first));
    const object = cluster.veleroObject(first, "InProgress");
    expect(message(second)).toMatch(/^waits for Velero/);
    cluster.setVeleroPhase(object, phase);
    expect(message(second)).toMatch(RUNS);
  },
);

test("one whose Backup no watch shows yet has its place, whatever its runner has written", () => {
  const [first, second] = [add(1), add(2)];
  cluster.settle(first);
  const engineRef = { apiVersion: "velero.io/v1", kind: "Backup", namespace: "velero", name: "b1", uid: "not seen" };
  cluster.setStatus(first, { ...cluster.status(first), engineRef });
  expect(message(second)).toMatch(/^waits for Velero/);
});

test("one whose runner does not come to work, or is suspended by a queue, keeps no place from others", () => {
  const [first, second, third] = [add(1), add(2), add(3)];
  cluster.settle(first);
  const { runner, ...status } = cluster.status(first);
  cluster.setStatus(first, { ...status, runner: { ...runner, troubleSince: "2026-11-22T11:00:00Z" } });
  expect(message(second)).toMatch(RUNS);
  expect(message(third)).toMatch(/^waits for Velero/);
  const job = cluster.job(second);
  cluster.jobs.set(job.metadata.name, { ...job, spec: { ...job.spec, suspend: true } });
  expect(message(third)).toMatch(RUNS);
});

test("other people's Backups take no place of ours, and are named to those who wait behind them", () => {
  foreign("nightly-1", "InProgress");
  for (let number = 2; number < 40; number += 1) foreign(`nightly-${number}`, "Queued");
  foreign("done", "Completed");
  const [first, second] = [add(1), add(2)];
  expect(message(first)).toMatch(RUNS);
  expect(message(second)).toBe(
    "waits for Velero, which works on 1 Backup and has 38 in line, nightly-1 (InProgress), nightly-10 (Queued), nightly-11 (Queued) among them, position 1 of 1",
  );
});

test("Restores have a line of their own: Velero works on one at a time beside its Backups", () => {
  const backup = add(1);
  const restores = [3, 4, 5].map((minute) => add(minute, { type: "Restore" }));
  expect(message(backup)).toMatch(RUNS);
  expect(restores.map(message)).toEqual([
    expect.stringMatching(RUNS),
    expect.stringMatching(RUNS),
    "waits for Velero, which works on 0 Restores, position 1 of 1",
  ]);
});

test("a Velero that does more at once is given more", () => {
  cluster.concurrentBackups = 3;
  for (const minute of [1, 2, 3]) expect(message(add(minute))).toMatch(RUNS);
  expect(message(add(4))).toBe("waits for Velero, which works on 0 Backups, position 1 of 1");
});

test("who is far behind is told that Velero is waited for, and not what it is at, which changes all the time", () => {
  const all = Array.from({ length: 20 }, (_, at) => add(at));
  expect(all.map(message).at(-1)).toBe("waits for Velero, position over 10 of 18");
});

describe("a Backup that Velero leaves waiting though it works on nothing else", () => {
  const MISSED =
    "Velero leaves Backup velero/b1 Queued though it works on no other Backup: its own queue has missed its turn";
  const waiting = (phase: string) => {
    const operation = add(1);
    cluster.settle(operation);
    const job = cluster.job(operation);
    cluster.pod(job, { phase: "Running", containerStatuses: [{ name: "runner", state: { running: {} } }] });
    cluster.join(operation, job);
    const object = cluster.veleroObject(operation, phase, "b1");
    cluster.setTime("12:00:00");
    cluster.veleroIdleSince = new Date("2026-11-22T11:59:50Z");
    return { operation, object };
  };
  const told = (operation: VeleroOperation) => {
    const { action } = cluster.decide(operation);
    return action?.kind === "announce" ? `${action.announcement.reason}: ${action.announcement.message}` : undefined;
  };

  test("is reported after ten seconds, and not before", () => {
    const { operation } = waiting("Queued");
    cluster.setTime("11:59:59");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:00Z") });
    cluster.setTime("12:00:00");
    expect(told(operation)).toContain(`VeleroIdle: ${MISSED}`);
  });

  test("in words that say that nobody looks at it, where nobody has", () => {
    const { operation } = waiting("New");
    expect(told(operation)).toMatch(
      /^VeleroIdle: Velero has not begun with Backup velero\/b1, .* whether its server runs$/,
    );
  });

  test("not while Velero works on something, nor once it works on this one", () => {
    const { operation, object } = waiting("Queued");
    cluster.veleroIdleSince = undefined;
    expect(cluster.decide(operation)).toEqual({});
    cluster.veleroIdleSince = new Date("2026-11-22T11:59:50Z");
    cluster.setVeleroPhase(object, "InProgress");
    expect(cluster.decide(operation)).toEqual({});
  });
});
