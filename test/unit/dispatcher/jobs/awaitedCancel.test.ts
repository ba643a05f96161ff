import { beforeEach, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

const CANCEL = "ops.vworkspace.io/cancel";
const RECORDED = "Cancelled=Unknown/CancelRequested";

let cluster: Cluster;
let operation: VeleroOperation;
let job: Job;

/** A runner has begun: Velero is at work. */
beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
  job = cluster.job(operation);
  cluster.join(operation, job);
  cluster.veleroObject(operation, "InProgress");
});

const status = () => cluster.status(operation);
const cancel = (value: string | undefined) => cluster.annotate(operation, { [CANCEL]: value });
const suspend = () => {
  const conditions = [{ type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" }];
  cluster.jobs.set(job.metadata.name, { ...job, status: { conditions } });
};
const running = { phase: "Running", containerStatuses: [{ name: "runner", state: { running: {} } }] };
const failed = { phase: "Failed", containerStatuses: [{ name: "runner", state: { terminated: { exitCode: 1 } } }] };
const unschedulable = {
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/3 nodes" }],
};

test.each<[string, () => void, string]>([
  ["a queue has suspended its Job", suspend, "JobSuspended: Job suspended"],
  ["its pod finds no node", () => cluster.pod(job, unschedulable), "Unschedulable: 0/3 nodes"],
  ["it is between two tries", () => cluster.pod(job, failed), "Error: exit code 1"],
  ["its pod is to come", () => undefined, "its runner is being started"],
])("a cancel is remembered, with what it waits for, while %s", (_, happens, waitsFor) => {
  happens();
  cancel("true");
  cluster.settle(operation);
  expect(status().phase).toBe("Pending");
  expect(conditionsOf(status())).toContain(RECORDED);
  expect(messageOf(status(), "Cancelled")).toBe(
    `cancel requested, but no runner is at work yet to carry it out: ${waitsFor}`,
  );
  expect(cluster.decide(operation).action).toBeUndefined();
});

test("it is remembered before the Job is made again, which may not succeed", () => {
  cluster.jobs.clear();
  cancel("true");
  expect(cluster.step(operation)).toMatchObject({ kind: "writeStatus" });
  expect(conditionsOf(status())).toContain(RECORDED);
  expect(cluster.step(operation)).toMatchObject({ kind: "createJob" });
});

test("it stays, whatever becomes of the request and of the backup, and says what it waits for now", () => {
  suspend();
  cancel("true");
  cluster.settle(operation);
  cancel(undefined);
  cluster.veleroObject(operation, "Completed");
  cluster.jobs.set(job.metadata.name, job);
  cluster.pod(job, unschedulable);
  cluster.settle(operation);
  expect(conditionsOf(status())).toContain(RECORDED);
  expect(messageOf(status(), "Cancelled")).toMatch(/Unschedulable/);
});

test("that a runner has decided for another reason keeps that reason, whoever asks", () => {
  const { conditions = [], ...rest } = status();
  const decided = { type: "Cancelled", status: "Unknown", reason: "DeadlineExceeded", message: "too long" } as const;
  const marked = { ...decided, lastTransitionTime: "2026-11-22T09:00:00Z" };
  cluster.setStatus(operation, { ...rest, conditions: [...conditions, marked] });
  cancel("true");
  suspend();
  cluster.settle(operation);
  expect(conditionsOf(status())).toContain("Cancelled=Unknown/DeadlineExceeded");
  expect(messageOf(status(), "Cancelled")).toBe("too long");
});

test("with a runner at work it is that one's to see", () => {
  cluster.pod(job, running);
  cancel("true");
  expect(cluster.decide(operation).action).toBeUndefined();
});

test.each(["Completed", "PartiallyFailed"])("a backup that is %s when the request is seen is not to go", (phase) => {
  cluster.veleroObject(operation, phase);
  suspend();
  cancel("true");
  cluster.settle(operation);
  expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", "Running=False/JobSuspended"]);
});

test("nothing is decided over a backup that the dispatcher cannot see: Velero may have made it anew, and it is done", () => {
  suspend();
  cluster.veleroObjects.clear();
  cancel("true");
  cluster.settle(operation);
  expect(conditionsOf(status())).not.toContain(RECORDED);
});
