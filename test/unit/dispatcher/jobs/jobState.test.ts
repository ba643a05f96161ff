import { beforeEach, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const status = () => cluster.status(operation);
const runnerFailed = ["Accepted=True/TemplateValidated", "Running=False/RunnerFailed", "Failed=True/RunnerFailed"];

test("a deleted Job of a running attempt is made again under its name", () => {
  const job = cluster.job(operation);
  cluster.join(operation, job);
  cluster.jobs.delete(job.metadata.name);
  expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
});

test.each(["Succeeded", "Failed"] as const)("the Job of a %s Operation is never made again", (phase) => {
  cluster.setStatus(operation, { ...status(), phase });
  cluster.jobs.clear();
  expect(cluster.decide(operation)).toEqual({});
});

test("a Job that gave up before its runner said anything fails the attempt", () => {
  cluster.endJob(cluster.job(operation), "Failed", { message: "Job has reached the specified backoff limit" });
  cluster.settle(operation);
  expect(status().phase).toBe("Failed");
  expect(conditionsOf(status())).toEqual(runnerFailed);
  expect(messageOf(status(), "Failed")).toMatch(
    /^Job nightly-[0-9a-f]{10} gave up \(BackoffLimitExceeded: Job has reached the specified backoff limit\)$/,
  );
  expect(status().finishedAt).toBe("2026-11-22T12:00:00Z");
});

test("a Job that is about to fail has not failed", () => {
  const job = cluster.job(operation);
  const conditions = [
    { type: "FailureTarget", status: "True", reason: "BackoffLimitExceeded" },
    { type: "Failed", status: "False", reason: "Wait" },
  ];
  cluster.jobs.set(job.metadata.name, { ...job, status: { conditions } });
  expect(cluster.decide(operation)).toEqual({});
});

test("a Job that completed without a result fails the attempt as well: nobody would end it otherwise", () => {
  cluster.endJob(cluster.job(operation), "Complete");
  cluster.settle(operation);
  expect(conditionsOf(status())).toEqual(runnerFailed);
  expect(messageOf(status(), "Failed")).toMatch(/ended without a result/);
});

test("a Job of that name that was made for somebody else is not taken for ours", () => {
  const job = cluster.job(operation);
  const labels = { ...job.metadata.labels, "ops.vworkspace.io/operation": "another" };
  cluster.jobs.set(job.metadata.name, cluster.endJob({ ...job, metadata: { ...job.metadata, labels } }, "Failed"));
  expect(cluster.decide(operation).action).toMatchObject({ kind: "createJob" });
});

test("a broken template leaves a running attempt accepted, and says why it has no Job", () => {
  cluster.join(operation, cluster.job(operation));
  cluster.jobs.clear();
  cluster.breakTemplates();
  cluster.settle(operation);
  expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", "Running=False/TemplateInvalid"]);
  cluster.mendTemplates();
  expect(cluster.step(operation)).toMatchObject({ kind: "createJob" });
});
