import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import type { Job } from "../../../src/kube/resources.ts";
import type { OperationChange } from "./clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "./fakeCluster.ts";

const CANCEL = "ops.vworkspace.io/cancel";
const RERUN = "ops.vworkspace.io/rerun";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

/** An Operation whose runner gave up, with its Job. */
function failed(change: OperationChange = {}): { operation: VeleroOperation; job: Job } {
  const operation = cluster.settle(cluster.add({ name: "nightly", ...change }));
  cluster.join(operation, cluster.job(operation));
  const job = cluster.endJob(cluster.job(operation), "Failed");
  cluster.settle(operation);
  return { operation, job };
}

type Way = (operation: VeleroOperation, job: Job) => Job;

const ways: [string, Way][] = [
  ["from the template", (operation) => cluster.handMadeJob(operation)],
  ["as a copy, labels and all", (_, job) => cluster.copyJob(job)],
  ["in the place of the one that failed", (_, job) => cluster.copyJob(job, job.metadata.name)],
];

describe.each(ways)("a Job that a person makes %s for a failed Operation", (_, make) => {
  test("has it run again, by that Job alone, and once", () => {
    const { operation, job } = failed();
    const made = make(operation, job);
    cluster.settle(operation);
    const { phase, runner, history } = cluster.status(operation);
    expect(phase).toBe("Pending");
    expect(runner).toMatchObject({
      attempt: 2,
      jobName: made.metadata.name,
      requestedBy: [made.metadata.uid],
    });
    expect(history).toMatchObject([{ attempt: 1, reason: "RunnerFailed", jobUIDs: [job.metadata.uid] }]);
    expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
    const others = [job.metadata.name, made.metadata.name];
    expect([...cluster.jobs.keys()].filter((name) => !others.includes(name))).toEqual([]);

    cluster.join(operation, made);
    expect(cluster.decide(operation)).toEqual({});
    cluster.endJob(made, "Failed");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed", runner: { attempt: 2 } });
    expect(messageOf(cluster.status(operation), "Failed")).toBe(
      `Job ${made.metadata.name} gave up (BackoffLimitExceeded)`,
    );
  });

  test("is the attempt's Job from the start: the attempt goes on until it has ended", () => {
    const { operation, job } = failed();
    const made = make(operation, job);
    cluster.settle(operation);
    expect(cluster.decide(operation)).toEqual({});
    cluster.endJob(made, "Failed", { reason: "DeadlineExceeded" });
    cluster.settle(operation);
    expect(messageOf(cluster.status(operation), "Failed")).toBe(`Job ${made.metadata.name} gave up (DeadlineExceeded)`);
    expect(cluster.status(operation).runner?.attempt).toBe(2);
  });

  test("asks for nothing a second time, though it is still there after the end", () => {
    const { operation, job } = failed();
    make(operation, job);
    cluster.settle(operation);
    cluster.setStatus(operation, { ...cluster.status(operation), phase: "Failed" });
    expect(cluster.decide(operation)).toEqual({});
  });

  test("passes every check again", () => {
    const { operation, job } = failed();
    cluster.targets.clear();
    make(operation, job);
    cluster.settle(operation);
    expect(cluster.status(operation).runner?.attempt).toBe(2);
    expect(conditionsOf(cluster.status(operation))).toEqual(["Accepted=False/TargetNotFound", "Running=False/Pending"]);
  });

  test("changes nothing while the Operation is cancelled", () => {
    const { operation, job } = failed();
    cluster.annotate(operation, { [CANCEL]: "true" });
    make(operation, job);
    expect(cluster.decide(operation)).toEqual({});
  });

  test("goes on with what Velero is still at work on", () => {
    const { operation, job } = failed();
    const { metadata } = cluster.veleroObject(operation, "InProgress");
    const made = make(operation, job);
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({
      phase: "Pending",
      engineRef: { uid: metadata.uid },
      runner: { attempt: 1, jobName: made.metadata.name, requestedBy: [made.metadata.uid] },
    });
    expect(cluster.status(operation).history).toBeUndefined();
    cluster.endJob(made, "Failed");
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Pending", runner: { attempt: 1, successors: 1 } });
    expect([...cluster.jobs.values()].filter(({ status }) => status === undefined)).toHaveLength(1);
  });

  test("does not run one again that succeeded", () => {
    const { operation, job } = failed();
    cluster.setStatus(operation, { ...cluster.status(operation), phase: "Succeeded" });
    make(operation, job);
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is made up for by the dispatcher's own when it is deleted", () => {
    const { operation, job } = failed();
    const made = make(operation, job);
    cluster.settle(operation);
    cluster.jobs.delete(made.metadata.name);
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob" });
  });
});

test("several Jobs at the same time, and a token, are one request", () => {
  const { operation, job } = failed();
  const made = ways.map(([, make]) => make(operation, job).metadata.uid);
  cluster.annotate(operation, { [RERUN]: "again" });
  cluster.settle(operation);
  const { runner, observedRerun } = cluster.status(operation);
  expect({ observedRerun, attempt: runner?.attempt }).toEqual({ observedRerun: "again", attempt: 2 });
  expect(runner?.requestedBy?.toSorted()).toEqual(made.toSorted());
  cluster.setStatus(operation, { ...cluster.status(operation), phase: "Failed" });
  expect(cluster.decide(operation)).toEqual({});
});

test("a Job made by hand that ended before anybody looked asks for nothing any more", () => {
  const { operation, job } = failed();
  cluster.endJob(cluster.copyJob(job), "Failed");
  expect(cluster.decide(operation)).toEqual({});
});

test("an attempt that a Job made by hand is to have can be cancelled while that has not started", () => {
  const { operation, job } = failed();
  cluster.copyJob(job);
  cluster.settle(operation);
  cluster.annotate(operation, { [CANCEL]: "true" });
  cluster.settle(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Cancelled=True/CancelledByUser");
});

describe("a Job that the dispatcher makes just as the Operation ends", () => {
  /** The watch tells late of the end, but not of the deletion before it. */
  function late(): { operation: VeleroOperation; job: Job } {
    const { operation, job } = failed();
    const ended = cluster.status(operation);
    cluster.jobs.delete(job.metadata.name);
    const { finishedAt: _at, duration: _long, ...running } = ended;
    const conditions = running.conditions?.filter(({ type }) => type !== "Failed");
    cluster.setStatus(operation, { ...running, phase: "Running", ...(conditions && { conditions }) });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
    cluster.setStatus(operation, ended);
    return { operation, job: cluster.job(operation) };
  }

  test("asks for nothing, and is told that it comes too late", () => {
    const { operation, job } = late();
    const before = cluster.status(operation);
    cluster.settle(operation);
    const { runner, ...rest } = cluster.status(operation);
    expect(runner?.jobUIDs).toContain(job.metadata.uid);
    expect({ ...rest, runner: { ...runner, jobUIDs: before.runner?.jobUIDs } }).toEqual(before);
  });

  test("is known as the dispatcher's, whoever writes to it as soon as it is there, and however long webhooks took", () => {
    const { operation, job } = late();
    const at = (seconds: number) =>
      new Date(Date.parse(job.metadata.creationTimestamp) + seconds * 1000).toISOString().replace(".000Z", "Z");
    const managedFields = [
      { manager: "operation-dispatcher", operation: "Update", time: at(-20) },
      { manager: "kueue", operation: "Update", time: at(1) },
      { manager: "kube-controller-manager", operation: "Update", subresource: "status", time: at(0) },
    ];
    cluster.jobs.set(job.metadata.name, { ...job, metadata: { ...job.metadata, managedFields } });
    cluster.settle(operation);
    expect(cluster.status(operation)).toMatchObject({ phase: "Failed", runner: { attempt: 1 } });
  });

  test("belongs to the past after a re-run", () => {
    const { operation, job } = late();
    cluster.annotate(operation, { [RERUN]: "again" });
    cluster.settle(operation);
    expect(cluster.status(operation).runner).toMatchObject({ attempt: 2 });
    expect(cluster.status(operation).runner?.requestedBy).toBeUndefined();
    expect(cluster.status(operation).history?.[0]?.jobUIDs).toContain(job.metadata.uid);
  });

  test("can be copied like any other: even one that was sent with what the API server had noted of the first", () => {
    const { operation, job } = late();
    const copy = cluster.copyJob(job);
    const managedFields = [...(job.metadata.managedFields ?? []), ...(copy.metadata.managedFields ?? [])];
    const metadata = { ...copy.metadata, managedFields };
    cluster.jobs.set(copy.metadata.name, { ...copy, metadata });
    cluster.settle(operation);
    expect(cluster.status(operation).runner).toMatchObject({ attempt: 2, requestedBy: [copy.metadata.uid] });
  });
});
