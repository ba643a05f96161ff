import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { openAttempt } from "../../../../src/api/status.ts";
import { decideOrphan } from "../../../../src/dispatcher/decide.ts";
import type { Job } from "../../../../src/kube/resources.ts";
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

describe("the label that Velero puts on what it restores", () => {
  const label = () => {
    const { metadata, ...rest } = cluster.current(operation);
    const labels = { "velero.io/restore-name": "r1" };
    cluster.operations.set("org-a/nightly", { ...rest, metadata: { ...metadata, labels } });
  };

  test.each([
    ["with its Job at work", () => cluster.join(operation, cluster.job(operation))],
    ["whose Job was deleted", () => cluster.jobs.clear()],
    ["that is run again", () => cluster.setStatus(operation, openAttempt({ ...status(), phase: "Failed" }))],
  ])("does not make a copy of an attempt %s", (_, stand) => {
    stand();
    label();
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Accepted=True/TemplateValidated");
    expect(cluster.job(operation).status).toBeUndefined();
  });

  test("makes a copy of one under another UID, whatever status came with it", () => {
    const { metadata, ...rest } = cluster.current(operation);
    cluster.jobs.clear();
    cluster.operations.set("org-a/nightly", { ...rest, metadata: { ...metadata, uid: "new" } });
    label();
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Accepted=False/RestoredCopy");
    expect(cluster.jobs.size).toBe(0);
  });
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

test("a broken template leaves a running attempt accepted, and says why it has no Job", () => {
  cluster.join(operation, cluster.job(operation));
  cluster.jobs.clear();
  cluster.breakTemplates();
  cluster.settle(operation);
  expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", "Running=False/TemplateInvalid"]);
  cluster.mendTemplates();
  expect(cluster.step(operation)).toMatchObject({ kind: "createJob" });
});

const waiting = (reason: string, message?: string) => ({
  phase: "Pending",
  containerStatuses: [{ name: "runner", state: { waiting: { reason, message } } }],
});
const running = { phase: "Running", containerStatuses: [{ name: "runner", state: { running: { startedAt: "x" } } }] };
const terminated = (change: object) => ({
  phase: "Failed",
  containerStatuses: [{ name: "runner", state: { terminated: { exitCode: 1, ...change } } }],
});
const saying = (type: string, reason: string, message: string, status = "False") => ({
  phase: "Pending",
  conditions: [{ type, status, reason, message }],
});

describe("while Kubernetes still tries", () => {
  test.each<[string, object, string, RegExp]>([
    [
      "image",
      waiting("ImagePullBackOff", 'Back-off pulling image "x"'),
      "ImagePullBackOff",
      /^Back-off pulling image "x"$/,
    ],
    [
      "configuration",
      waiting("CreateContainerConfigError", 'secret "k" not found'),
      "CreateContainerConfigError",
      /"k"/,
    ],
    ["start", waiting("RunContainerError"), "RunContainerError", /^pod .* waits$/],
    ["node", saying("PodScheduled", "Unschedulable", "0/3 nodes are available"), "Unschedulable", /^0\/3 nodes/],
    ["memory", terminated({ exitCode: 137, reason: "OOMKilled" }), "OOMKilled", /^exit code 137$/],
    [
      "API server",
      terminated({ reason: "Error", message: '{"message":"connect ECONNREFUSED"}' }),
      "Error",
      /^connect ECONNREFUSED \(exit code 1\)$/,
    ],
    [
      "eviction",
      { phase: "Failed", reason: "Evicted", message: "The node was low on memory." },
      "Evicted",
      /low on memory/,
    ],
    [
      "full volume",
      {
        ...terminated({ exitCode: 137, reason: "ContainerStatusUnknown", message: "could not be located" }),
        phase: "Failed",
        reason: "Evicted",
        message: 'Usage of EmptyDir volume "tmp" exceeds the limit "64Mi".',
      },
      "Evicted",
      /^Usage of EmptyDir volume "tmp" exceeds the limit/,
    ],
    [
      "drain",
      { ...running, ...saying("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting", "True") },
      "EvictionByEvictionAPI",
      /evicting/,
    ],
    [
      "silent node",
      {
        ...running,
        conditions: [
          { type: "Ready", status: "False" },
          { type: "ContainersReady", status: "True" },
        ],
      },
      "NodeNotReady",
      /does not answer/,
    ],
    ["odd reason", waiting("not a reason: 1", "m"), "PodFailed", /^m$/],
    [
      "init container",
      { initContainerStatuses: [{ name: "ca", state: { waiting: { reason: "ErrImagePull", message: "no" } } }] },
      "ErrImagePull",
      /^no$/,
    ],
  ])("trouble with the %s is told, once, and what was accepted stays", (_, pod, reason, message) => {
    cluster.pod(cluster.job(operation), pod);
    cluster.settle(operation);
    expect(status().phase).toBe("Pending");
    expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", `Running=False/${reason}`]);
    expect(messageOf(status(), "Running")).toMatch(message);
    expect(cluster.decide(operation).action).toBeUndefined();
  });

  test("a queue that suspends the Job is told", () => {
    const job = cluster.job(operation);
    const conditions = [{ type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" }];
    cluster.jobs.set(job.metadata.name, { ...job, status: { conditions } });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/JobSuspended");
  });

  test.each([
    ["no pod", undefined],
    ["a pod without a word", {}],
    ["a container being made", waiting("ContainerCreating")],
    ["init containers at work", waiting("PodInitializing")],
    ["a running pod", running],
  ])("%s is no trouble", (_, pod) => {
    if (pod !== undefined) cluster.pod(cluster.job(operation), pod);
    expect(cluster.decide(operation).action).toBeUndefined();
  });

  const QUOTA = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
  const admissible = [
    ["a quota", `Error creating: pods "nightly-x7k2p" is forbidden: ${QUOTA}`, QUOTA],
    [
      "a quota, again and again",
      `(combined from similar events): Error creating: pods "n-2" is forbidden: ${QUOTA}`,
      QUOTA,
    ],
    [
      "a webhook",
      'Error creating: admission webhook "w.io" denied the request: no',
      'admission webhook "w.io" denied the request: no',
    ],
  ] as const;

  test.each(admissible)("%s that lets no pod in is told, once, in its own words", (_, event, words) => {
    const job = cluster.job(operation);
    cluster.refuse(job, "Error creating: first", { at: "2026-11-22T10:59:59Z" });
    cluster.refuse(job, event);
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/FailedCreate");
    expect(messageOf(status(), "Running")).toBe(`Kubernetes does not let its pod in: ${words}`);
    cluster.refuse(job, event.replace(/"n[^"]*"/, '"nightly-another"'), { at: "2026-11-22T11:00:01Z" });
    expect(cluster.decide(operation).action).toBeUndefined();
  });

  test("a pod that is let in at last takes that back, before it runs", () => {
    const job = cluster.job(operation);
    cluster.refuse(job, "Error creating: no");
    cluster.settle(operation);
    cluster.jobs.set(job.metadata.name, { ...job, status: { active: 1 } });
    expect(cluster.decide(operation).action).toBeUndefined();
    cluster.pod(job, {}, { createdAt: "2026-11-22T11:00:01Z" });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Pending");
    expect(messageOf(status(), "Running")).toBe("its runner is being started");
  });

  test("a retry that is not let in is told instead of how the last pod ended", () => {
    const job = cluster.job(operation);
    cluster.pod(job, terminated({ exitCode: 1 }), { createdAt: "2026-11-22T11:00:00Z" });
    cluster.refuse(job, "Error creating: before", { at: "2026-11-22T10:59:00Z" });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Error");
    cluster.refuse(job, "Error creating: since", { at: "2026-11-22T11:00:01Z" });
    cluster.settle(operation);
    expect(messageOf(status(), "Running")).toMatch(/: since$/);
  });

  test("trouble stays told until a pod runs, and is then taken back", () => {
    const job = cluster.job(operation);
    cluster.pod(job, terminated({ exitCode: 137, reason: "OOMKilled" }));
    cluster.settle(operation);
    cluster.pod(job, waiting("ContainerCreating"));
    expect(cluster.decide(operation).action).toBeUndefined();
    cluster.pod(job, running);
    cluster.settle(operation);
    expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", "Running=False/Pending"]);
    expect(cluster.decide(operation).action).toBeUndefined();
  });

  test("trouble of an attempt under way leaves its phase, and the runner has the last word", () => {
    const job = cluster.job(operation);
    cluster.join(operation, job);
    const { conditions = [], ...rest } = status();
    const begun = conditions.map((one) =>
      one.type === "Running" ? { ...one, status: "True" as const, reason: "VeleroBackupInProgress" } : one,
    );
    cluster.setStatus(operation, { ...rest, phase: "Running", conditions: begun });
    cluster.pod(job, running);
    expect(cluster.decide(operation).action).toBeUndefined();
    cluster.pods.length = 0;
    cluster.pod(job, waiting("ImagePullBackOff", "gone from the registry"));
    cluster.settle(operation);
    expect(status().phase).toBe("Running");
    expect(conditionsOf(status())).toContain("Running=False/ImagePullBackOff");
  });

  test("one pod that runs is enough", () => {
    cluster.pod(cluster.handMadeJob(operation), running);
    cluster.pod(cluster.job(operation), waiting("ImagePullBackOff"));
    expect(cluster.decide(operation).action).toBeUndefined();
  });
});

describe("when the Job gave up, the message says why", () => {
  const told = (pod: object, change = {}) => {
    cluster.pod(cluster.job(operation), pod);
    cluster.endJob(cluster.job(operation), "Failed", change);
    cluster.settle(operation);
    return messageOf(status(), "Failed") ?? "";
  };

  test.each<[string, object, RegExp]>([
    [
      "the runner's summary",
      { exitCode: 2, reason: "Error", message: '{"message":"no rights"}' },
      /^Error: no rights \(exit code 2\); Job /,
    ],
    [
      "its last log line",
      { message: '{"msg":"a"}\n{"level":60,"err":{"message":"no cluster"},"msg":"cannot start"}\n' },
      /^Error: cannot start: no cluster \(exit code 1\); Job /,
    ],
    [
      "what Node says when it crashes",
      { message: "\nTypeError: x is not a function\n    at f (a.js:1:2)\n\nNode.js v24.21.0\n" },
      /^Error: TypeError: x is not a function \(exit/,
    ],
    ["the kernel", { exitCode: 137, reason: "OOMKilled" }, /^OOMKilled: exit code 137; Job /],
    [
      "the kernel, and what the runner did last",
      { exitCode: 137, reason: "OOMKilled", message: '{"msg":"started"}\n{"level":30,"msg":"asked Velero"}\n' },
      /^OOMKilled: asked Velero \(exit code 137\); Job /,
    ],
  ])("%s", (_, state, message) => {
    expect(told(terminated(state))).toMatch(message);
  });

  test("in one line of a KiB, whatever the pod left behind", () => {
    const message = told(terminated({ message: `a\u0000b\u001b[31m\r\n\u2028${"ö😀".repeat(2000)}` }));
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\ufffd\u2028]/u);
  });

  test("by the pod that ended last", () => {
    const job = cluster.job(operation);
    cluster.pod(job, terminated({ message: "second" }), { createdAt: "2026-11-22T11:59:02Z" });
    cluster.pod(job, terminated({ message: "first" }), { createdAt: "2026-11-22T11:59:01Z" });
    cluster.pod(job, {}, { createdAt: "2026-11-22T11:59:03Z" });
    cluster.endJob(job, "Failed");
    cluster.settle(operation);
    expect(messageOf(status(), "Failed")).toMatch(/^Error: second/);
  });

  test("also when nothing is left of the pod that could not start", () => {
    cluster.pod(cluster.job(operation), waiting("ImagePullBackOff", "no such image"));
    cluster.settle(operation);
    cluster.pods.length = 0;
    cluster.endJob(cluster.job(operation), "Failed", { reason: "DeadlineExceeded" });
    cluster.settle(operation);
    expect(messageOf(status(), "Failed")).toMatch(/^ImagePullBackOff: no such image; Job .* \(DeadlineExceeded\)$/);
  });

  test("also when a deadline ended a pod that could not start", () => {
    expect(
      told(waiting("ImagePullBackOff", "no such image"), { reason: "DeadlineExceeded", message: "too long" }),
    ).toMatch(/^ImagePullBackOff: no such image; Job nightly-\w+ gave up \(DeadlineExceeded: too long\)$/);
  });
});

describe("the Job of an Operation that is gone", () => {
  const orphan = () => decideOrphan(cluster.job(operation), cluster.world());

  test.each<[string, object | undefined]>([
    ["has no pod", undefined],
    ["cannot be scheduled", saying("PodScheduled", "Unschedulable", "")],
    ["cannot be pulled", waiting("ErrImagePull")],
  ])("is deleted when it %s", (_, pod) => {
    if (pod !== undefined) cluster.pod(cluster.job(operation), pod);
    expect(orphan()).toMatchObject({ kind: "deleteJob", uid: cluster.job(operation).metadata.uid });
  });

  test("is left alone when it has made something of Velero's, though its pod was evicted without a trace", () => {
    cluster.veleroObject(operation, "InProgress");
    expect(orphan()).toBeUndefined();
  });

  test.each<[string, object | undefined, NonNullable<Job["status"]>]>([
    ["runs", running, {}],
    ["ran", terminated({}), {}],
    ["ran, though its pod is gone", undefined, { failed: 1 }],
    ["has succeeded", undefined, { succeeded: 1 }],
    ["has a pod that is not known yet", undefined, { active: 1 }],
  ])("is left alone when it %s", (_, pod, jobStatus) => {
    const job = cluster.job(operation);
    cluster.jobs.set(job.metadata.name, { ...job, status: jobStatus });
    if (pod !== undefined) cluster.pod(job, pod);
    expect(orphan()).toBeUndefined();
  });
});
