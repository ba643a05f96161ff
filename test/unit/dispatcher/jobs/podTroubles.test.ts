import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";
import { running, terminated, waiting, withCondition } from "./podStatuses.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const status = () => cluster.status(operation);

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
    ["start", waiting("RunContainerError"), "RunContainerError", /^pod .* is waiting$/],
    ["node", withCondition("PodScheduled", "Unschedulable", "0/3 nodes are available"), "Unschedulable", /^0\/3 nodes/],
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
      { ...running, ...withCondition("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting", "True") },
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
      /has stopped reporting/,
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
    expect(messageOf(status(), "Running")).toBe(`the API server refuses its pod: ${words}`);
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
