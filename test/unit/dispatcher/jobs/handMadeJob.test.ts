import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  cluster.concurrentBackups = 2;
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const status = () => cluster.status(operation);

describe("an attempt that a Job made by hand has opened", () => {
  /** As its runner writes it: not admitted, its Job among those that work on it. */
  function opened(approvals?: { required: boolean }): { byHand: Job; again: VeleroOperation } {
    const again = cluster.add({ name: "again", ...(approvals && { approvals }) });
    const byHand = cluster.handMadeJob(again);
    const { name: jobName, uid } = byHand.metadata;
    cluster.setStatus(again, { phase: "Pending", conditions: [], runner: { attempt: 2, jobName, jobUIDs: [uid] } });
    return { byHand, again };
  }

  test("passes every check again, and is carried out by that Job and no other", () => {
    const { byHand, again } = opened();
    cluster.settle(again);
    expect(conditionsOf(cluster.status(again))).toContain("Accepted=True/TemplateValidated");
    expect(cluster.status(again).runner).toMatchObject({ attempt: 2, jobName: byHand.metadata.name });
    expect(cluster.jobsOf(again).map(({ metadata }) => metadata.uid)).toEqual([byHand.metadata.uid]);
  });

  test("waits like any other for what it lacks, and can be cancelled meanwhile", () => {
    const { again } = opened({ required: true });
    cluster.settle(again);
    expect(conditionsOf(cluster.status(again))).toContain("Blocked=True/AwaitingApproval");
    cluster.annotate(again, { "ops.vworkspace.io/cancel": "true" });
    cluster.settle(again);
    expect(conditionsOf(cluster.status(again))).toContain("Cancelled=True/CancelledByUser");
  });
});

describe("with a Job made by hand", () => {
  test("the attempt goes on while that one may still work, whether it has begun or not", () => {
    cluster.endJob(cluster.job(operation), "Failed");
    const byHand = cluster.handMadeJob(operation);
    expect(cluster.decide(operation)).toEqual({});
    cluster.join(operation, byHand);
    expect(cluster.decide(operation)).toEqual({});
    cluster.endJob(byHand, "Failed", { reason: "PodFailurePolicy" });
    cluster.settle(operation);
    expect(messageOf(status(), "Failed")).toBe(`Job ${byHand.metadata.name} gave up (PodFailurePolicy)`);
  });

  test("that was refused, the attempt is none of its business", () => {
    cluster.join(operation, cluster.job(operation));
    cluster.endJob(cluster.handMadeJob(operation), "Failed");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("that was deleted at work, the dispatcher makes its own again, though that one had failed before", () => {
    const own = cluster.job(operation);
    cluster.join(operation, own);
    const byHand = cluster.handMadeJob(operation);
    cluster.join(operation, byHand);
    cluster.endJob(own, "Failed");
    expect(cluster.decide(operation)).toEqual({});
    cluster.jobs.delete(byHand.metadata.name);
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: own.metadata.uid });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: own.metadata.name });
    expect(cluster.step(operation)).toBeUndefined();
  });
});
