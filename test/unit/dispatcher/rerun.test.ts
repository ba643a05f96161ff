import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import type { OperationChange } from "./clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "./fakeCluster.ts";

const CANCEL = "ops.vworkspace.io/cancel";
const RERUN = "ops.vworkspace.io/rerun";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

describe("re-run", () => {
  /** An Operation whose runner ended it. */
  const failed = (change: OperationChange = {}) => {
    const operation = cluster.settle(cluster.add({ name: "nightly", ...change }));
    cluster.join(operation, cluster.job(operation));
    cluster.endJob(cluster.job(operation), "Failed");
    return cluster.settle(operation);
  };
  const rerun = (operation: VeleroOperation, token: string) => cluster.annotate(operation, { [RERUN]: token });

  test("opens a new attempt with a Job of its own; the old one goes to the history", () => {
    const operation = failed();
    const first = cluster.job(operation).metadata.name;
    rerun(operation, "again");
    expect(cluster.step(operation)).toMatchObject({
      status: { phase: "Pending", observedRerun: "again", conditions: [{ type: "Reconciling" }] },
    });
    cluster.settle(operation);
    const { runner, history, observedRerun } = cluster.status(operation);
    expect(runner).toEqual({
      attempt: 2,
      jobName: cluster.job(operation).metadata.name,
      jobNamespace: "vworkspace-system",
    });
    expect(runner?.jobName).not.toBe(first);
    expect(history).toMatchObject([{ attempt: 1, phase: "Failed", reason: "RunnerFailed", jobName: first }]);
    expect(observedRerun).toBe("again");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is possible after a limit has ended the attempt, with another one", () => {
    const operation = cluster.settle(cluster.add());
    cluster.join(operation, cluster.job(operation));
    const { conditions = [], ...rest } = cluster.status(operation);
    const ended = { type: "Cancelled", status: "True", reason: "DeadlineExceeded", message: "too long" } as const;
    const at = "2026-11-22T12:00:00Z";
    const all = [...conditions, { ...ended, lastTransitionTime: at }];
    cluster.setStatus(operation, { ...rest, phase: "Failed", conditions: all });
    cluster.settle(operation);
    expect(cluster.status(operation).phase).toBe("Failed");
    rerun(operation, "again");
    cluster.settle(operation);
    const { phase, runner, history } = cluster.status(operation);
    expect({ phase, attempt: runner?.attempt }).toEqual({ phase: "Pending", attempt: 2 });
    expect(history).toMatchObject([{ attempt: 1, phase: "Failed", reason: "DeadlineExceeded" }]);
  });

  test("happens once per token", () => {
    const operation = failed();
    rerun(operation, "again");
    cluster.settle(operation);
    cluster.endJob(cluster.job(operation), "Failed");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed", runner: { attempt: 2 } });
    expect(cluster.decide(operation)).toEqual({});
    rerun(operation, "once more");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Pending", runner: { attempt: 3 } });
  });

  test("passes all checks again", () => {
    const operation = failed();
    cluster.targets.clear();
    rerun(operation, "again");
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toEqual(["Accepted=False/TargetNotFound", "Running=False/Pending"]);
  });

  test.each(["Succeeded", "Pending", "Running", "Cancelled"] as const)("does not touch one that is %s", (phase) => {
    const operation = cluster.settle(cluster.add());
    cluster.setStatus(operation, { ...cluster.status(operation), phase });
    rerun(operation, "again");
    expect(cluster.decide(operation)).toEqual({});
  });

  test.each<[string, OperationChange]>([
    ["a restored copy", { labels: { "velero.io/restore-name": "r" } }],
    ["one that is being deleted", { deletionTimestamp: "2026-11-22T11:00:00Z" }],
  ])("does not touch %s", (_, change) => {
    const operation = cluster.add(change);
    cluster.setStatus(operation, { phase: "Failed" });
    rerun(operation, "again");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is refused while cancel is set, visibly and without losing the token", () => {
    const operation = failed();
    cluster.annotate(operation, { [CANCEL]: "true", [RERUN]: "again" });
    cluster.settle(operation);
    const { phase, conditions, observedRerun } = cluster.status(operation);
    expect(phase).toBe("Failed");
    expect(conditionsOf({ conditions })).toContain("Blocked=True/RerunRefused");
    expect(messageOf({ conditions }, "Blocked")).toBe(
      're-run "again" cannot begin: remove ops.vworkspace.io/cancel first',
    );
    expect(observedRerun).toBeUndefined();
    cluster.annotate(operation, { [CANCEL]: undefined });
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({
      phase: "Pending",
      observedRerun: "again",
      runner: { attempt: 2 },
    });
  });

  test("that is refused and then no longer asked for leaves nothing blocked", () => {
    const operation = failed();
    cluster.annotate(operation, { [CANCEL]: "true", [RERUN]: "again" });
    cluster.settle(operation);
    cluster.annotate(operation, { [RERUN]: undefined });
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Blocked=False/Unblocked");
  });

  test.each([
    ["long", "x".repeat(100_000)],
    ["not printable", "a\u0000\nb"],
  ])("takes a token that is %s, once, and records a digest", (_, token) => {
    const operation = failed();
    rerun(operation, token);
    cluster.settle(operation);
    expect(cluster.status(operation).observedRerun).toMatch(/^sha256:[0-9a-f]{64}$/);
    cluster.endJob(cluster.job(operation), "Failed");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed", runner: { attempt: 2 } });
  });

  test("resumes a Velero object that lives on, after the Job that gave up is gone", () => {
    const operation = failed();
    const old = cluster.job(operation);
    cluster.veleroObject(operation, "InProgress");
    rerun(operation, "again");
    expect(cluster.step(operation)).toMatchObject({
      kind: "deleteJob",
      name: old.metadata.name,
      uid: old.metadata.uid,
    });
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed" });
    expect(cluster.status(operation).observedRerun).toBeUndefined();
    expect(cluster.step(operation)).toMatchObject({ kind: "writeStatus" });
    const { phase, observedRerun, runner, engineRef, history, finishedAt } = cluster.status(operation);
    expect({ phase, observedRerun, history, finishedAt }).toEqual({ phase: "Pending", observedRerun: "again" });
    expect(runner).toMatchObject({ attempt: 1, jobName: old.metadata.name, jobUIDs: [old.metadata.uid] });
    expect(engineRef).toBeDefined();
    expect(conditionsOf(cluster.status(operation))).toEqual([
      "Accepted=True/TemplateValidated",
      "Running=False/Pending",
    ]);
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: old.metadata.name });
    expect(cluster.step(operation)).toBeUndefined();
  });

  test("resumes whatever else has changed: what Velero has begun is followed to its end", () => {
    const operation = failed();
    cluster.veleroObject(operation, "InProgress");
    cluster.targets.clear();
    rerun(operation, "again");
    cluster.settle(operation);
    expect(cluster.job(operation).status).toBeUndefined();
  });

  test("waits for the old Job while that is being deleted", () => {
    const operation = failed();
    cluster.veleroObject(operation, "InProgress");
    const old = cluster.job(operation);
    const metadata = { ...old.metadata, deletionTimestamp: "2026-11-22T12:00:00Z" };
    cluster.jobs.set(old.metadata.name, { ...old, metadata });
    rerun(operation, "again");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("passes over a Job made by hand that gave up last, which is not the dispatcher's to delete", () => {
    const operation = cluster.settle(cluster.add());
    cluster.join(operation, cluster.job(operation));
    const byHand = cluster.handMadeJob(operation);
    cluster.join(operation, byHand);
    cluster.endJob(cluster.job(operation), "Failed");
    cluster.endJob(byHand, "Failed");
    cluster.settle(operation);
    cluster.veleroObject(operation, "InProgress");
    rerun(operation, "again");
    cluster.settle(operation);
    expect(cluster.jobs.has(byHand.metadata.name)).toBe(true);
    expect(cluster.job(operation).status?.conditions).toBeUndefined();
    expect(cluster.status(operation)).toMatchObject({ phase: "Pending", runner: { attempt: 1 } });
  });

  test.each(["Completed", "Failed", "Deleting"])("starts anew when the Velero object is %s", (phase) => {
    const operation = failed();
    cluster.veleroObject(operation, phase);
    rerun(operation, "again");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Pending", runner: { attempt: 2 } });
    expect(cluster.status(operation).engineRef).toBeUndefined();
  });
});

test("a failed Operation is run again at once three times, and then ever more rarely", () => {
  const operation = cluster.add();
  let waited = 0;
  for (let attempt = 1; attempt <= 12; attempt += 1) {
    cluster.settle(operation);
    cluster.endJob(cluster.job(operation), "Failed");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed", runner: { attempt } });
    cluster.annotate(operation, { [RERUN]: `again-${attempt}` });
    const { lookAgainAt } = cluster.decide(operation);
    cluster.settle(operation);
    if (lookAgainAt === undefined) continue;
    expect(messageOf(cluster.status(operation), "Blocked")).toContain(
      `waits until ${lookAgainAt.toISOString().slice(0, 19)}`,
    );
    expect(lookAgainAt.getTime() - cluster.now.getTime()).toBeLessThanOrEqual(600_000);
    waited += 1;
    cluster.now = lookAgainAt;
  }
  expect(waited).toBe(9);
});
