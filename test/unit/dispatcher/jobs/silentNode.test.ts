import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, HOUR, MINUTE } from "../fakeCluster.ts";
import { running } from "./podStatuses.ts";

let cluster: Cluster;
let operation: VeleroOperation;
let job: Job;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
  job = cluster.job(operation);
});

const status = () => cluster.status(operation);

describe("a node that falls silent", () => {
  const silentSince = (time: string) => ({
    ...running,
    conditions: [
      { type: "Ready", status: "False", lastTransitionTime: `2026-11-22T${time}Z` },
      { type: "ContainersReady", status: "True" },
    ],
  });

  beforeEach(() => {
    cluster.join(operation, job);
    cluster.runnerWrites(operation, "True", "VeleroBackupInProgress");
  });

  test.each([
    ["True", "VeleroBackupInProgress"],
    ["False", "Pending"],
  ] as const)("is told once; a runner that goes on, Running=%s, has the word from then on", (is, reason) => {
    cluster.runnerWrites(operation, is, reason);
    cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/NodeNotReady");
    cluster.runnerWrites(operation, is, reason);
    cluster.passTime(5 * HOUR);
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is told once although its clock is ahead of the dispatcher's", () => {
    cluster.pod(job, silentSince("12:00:30"));
    cluster.settle(operation);
    cluster.runnerWrites(operation, "True", "VeleroBackupInProgress");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is told again when it falls silent again, and not before", () => {
    const pod = cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    cluster.runnerWrites(operation, "True", "VeleroBackupInProgress");
    const back = cluster.changePod(pod, { status: running });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=True/VeleroBackupInProgress");
    cluster.passTime(MINUTE);
    cluster.changePod(back, { status: silentSince("12:00:59") });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/NodeNotReady");
  });

  test("and whose runner says nothing any more does not hold the place for ever", () => {
    cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T14:00:00Z"));
    cluster.passTime(2 * HOUR);
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Failed=True/RunnerFailed");
  });
});
