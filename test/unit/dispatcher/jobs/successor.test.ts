import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add());
});

/** Its runner joined, and its Job gave up now. */
function giveUp(): void {
  cluster.join(operation, cluster.job(operation));
  cluster.endJob(cluster.job(operation), "Failed", { at: cluster.now.toISOString() });
}

/** How long until the Job that gave up has a successor, in seconds. */
function pause(): number {
  cluster.settle(operation);
  const { lookAgainAt } = cluster.decide(operation);
  const waited = (lookAgainAt?.getTime() ?? Number.NaN) - cluster.now.getTime();
  cluster.now = lookAgainAt ?? cluster.now;
  cluster.settle(operation);
  return waited / 1000;
}

describe("a Job that gives up while Velero is at work", () => {
  beforeEach(() => {
    cluster.veleroObject(operation, "InProgress");
    cluster.setStatus(operation, { ...cluster.status(operation), phase: "Running" });
  });

  test("is no verdict: another one follows, and goes on with the same attempt", () => {
    giveUp();
    const old = cluster.job(operation);
    cluster.settle(operation);
    expect(cluster.status(operation).phase).toBe("Running");
    expect(conditionsOf(cluster.status(operation))).toContain("Running=False/RunnerFailed");
    expect(messageOf(cluster.status(operation), "Running")).toMatch(
      /^the dispatcher makes a new Job at 2026-11-22T12:00:10Z .*; Job .* gave up \(BackoffLimitExceeded\)$/,
    );
    pause();
    expect(cluster.job(operation).metadata.uid).not.toBe(old.metadata.uid);
    expect(cluster.status(operation)).toMatchObject({ phase: "Running", runner: { attempt: 1, successors: 1 } });
    expect(conditionsOf(cluster.status(operation))).not.toContain("Failed=True/RunnerFailed");
  });

  test("has successors for as long as Velero is at work, each later than the last", () => {
    const pauses = Array.from({ length: 9 }, () => {
      giveUp();
      return pause();
    });
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 600, 600, 600]);
  });

  test("says why while it waits, also when its pods are gone", () => {
    giveUp();
    cluster.pod(cluster.job(operation), {
      phase: "Failed",
      containerStatuses: [
        { name: "runner", state: { terminated: { exitCode: 1, reason: "Error", message: "no way" } } },
      ],
    });
    cluster.settle(operation);
    const told = messageOf(cluster.status(operation), "Running");
    expect(told).toContain("no way");
    cluster.pods.length = 0;
    cluster.settle(operation);
    expect(messageOf(cluster.status(operation), "Running")).toBe(told);
  });

  test("counts as past even if its runner never wrote down that it was there", () => {
    cluster.endJob(cluster.job(operation), "Failed", { at: cluster.now.toISOString() });
    const old = cluster.job(operation);
    pause();
    expect(cluster.job(operation).metadata.uid).not.toBe(old.metadata.uid);
    expect(cluster.job(operation).status?.conditions).toBeUndefined();
  });

  test("remembers a cancel that comes while nobody is at work", () => {
    giveUp();
    cluster.annotate(operation, { "ops.vworkspace.io/cancel": "true" });
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Cancelled=Unknown/CancelRequested");
    cluster.annotate(operation, { "ops.vworkspace.io/cancel": undefined });
    pause();
    expect(cluster.job(operation).status?.conditions).toBeUndefined();
    expect(conditionsOf(cluster.status(operation))).toContain("Cancelled=Unknown/CancelRequested");
  });
});

test.each(["Completed", "gone"])("where Velero's object is %s, a few more try to tell what became of it", (end) => {
  const object = cluster.veleroObject(operation, "InProgress");
  if (end === "gone") cluster.veleroObjects.clear();
  else cluster.setVeleroPhase(object, end);
  for (let made = 0; made < 3; made += 1) {
    giveUp();
    pause();
    expect(cluster.job(operation).status?.conditions).toBeUndefined();
  }
  giveUp();
  cluster.settle(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Failed=True/RunnerFailed");
});

test("a Job that gave up before anything was made of Velero's is the end of the attempt", () => {
  giveUp();
  cluster.settle(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Failed=True/RunnerFailed");
});
