import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, HOUR, messageOf } from "../fakeCluster.ts";
import { creating, running, unschedulable } from "./podStatuses.ts";

let cluster: Cluster;
let operation: VeleroOperation;
let job: Job;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
  job = cluster.job(operation);
});

const status = () => cluster.status(operation);
const told = () => messageOf(status(), "Running") ?? "";

describe("a pod that does not start", () => {
  const FAILED = 'MountVolume.SetUp failed for volume "ca" : configmap "store-ca" not found';

  test("for what only Events tell of is told after half a minute", () => {
    const pod = cluster.pod(job, creating);
    cluster.warn(pod, "FailedMount", FAILED, "2026-11-22T12:00:05Z");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:30Z") });
    cluster.setTime("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/FailedMount");
    expect(told()).toBe(FAILED);
    cluster.changePod(pod, { status: running });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Pending");
  });

  test("is told in the same words while it is the same", () => {
    const pod = cluster.pod(job, creating);
    const sandbox = (id: string) => `Failed to create pod sandbox: network for sandbox "${id.repeat(64)}": no IP`;
    cluster.warn(pod, "FailedCreatePodSandBox", sandbox("a"), "2026-11-22T12:00:05Z");
    cluster.setTime("12:00:30");
    cluster.settle(operation);
    expect(told()).toBe("Failed to create pod sandbox: network for sandbox …: no IP");
    cluster.warn(pod, "FailedCreatePodSandBox", sandbox("b"), "2026-11-22T12:00:40Z");
    expect(cluster.decide(operation).action).toBeUndefined();
  });

  test.each([
    ["warnings of something else", "BackOff", creating],
    [
      "a failure that is over",
      "FailedMount",
      { ...creating, conditions: [{ type: "PodReadyToStartContainers", status: "True" }] },
    ],
  ])("is not told by %s", (_, reason, seen) => {
    cluster.warn(cluster.pod(job, seen), reason, FAILED, "2026-11-22T12:00:05Z");
    cluster.setTime("12:10:00");
    expect(cluster.decide(operation)).toEqual({});
  });

  describe("for too long", () => {
    test("ends the attempt and goes, so that others have its place", () => {
      const other = cluster.add({ name: "other", type: "Restore" });
      cluster.settle(other);
      expect(conditionsOf(cluster.status(other))).toContain("Blocked=True/ConflictingOperation");
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      expect(status().runner).toMatchObject({ troubleSince: "2026-11-22T12:00:00Z" });
      cluster.passTime(2 * HOUR - 1);
      expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T14:00:00Z") });
      cluster.passTime(1);
      cluster.settle(operation);
      expect(status()).toMatchObject({ phase: "Failed", reason: "RunnerFailed" });
      expect(messageOf(status(), "Failed")).toBe(
        "no runner has been at work since 2026-11-22T12:00:00Z, for longer than limits.maxStartTime (2h): Unschedulable: 0/3 nodes",
      );
      expect(cluster.jobs.size).toBe(0);
      cluster.settle(other);
      expect(conditionsOf(cluster.status(other))).toContain("Accepted=True/TemplateValidated");
    });

    test("has nothing left to do should it start after all", () => {
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.passTime(2 * HOUR);
      cluster.step(operation);
      expect(status().runner?.jobUIDs).toEqual([job.metadata.uid]);
    });

    test("is counted anew when a runner was at work in between", () => {
      const pod = cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.passTime(HOUR);
      cluster.changePod(pod, { status: running });
      cluster.settle(operation);
      expect(status().runner).not.toHaveProperty("troubleSince");
      cluster.passTime(10 * HOUR);
      cluster.pods.length = 0;
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
      expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-23T01:00:00Z"));
    });

    test("is no matter while Velero is at work, which holds the place anyway", () => {
      cluster.join(operation, job);
      const object = cluster.veleroObject(operation, "InProgress");
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.passTime(10 * HOUR);
      expect(cluster.decide(operation)).toEqual({});
      cluster.setVeleroPhase(object, "Completed");
      cluster.settle(operation);
      expect(conditionsOf(status())).toContain("Failed=True/RunnerFailed");
    });

    test("is no matter while a queue holds the Job back", () => {
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.pods.length = 0;
      const conditions = [{ type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" }];
      cluster.jobs.set(job.metadata.name, { ...job, status: { conditions } });
      cluster.settle(operation);
      cluster.passTime(100 * HOUR);
      cluster.settle(operation);
      expect(conditionsOf(status())).toContain("Running=False/JobSuspended");
      cluster.jobs.set(job.metadata.name, { ...job, status: { active: 1 } });
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
    });

    test.each<[string, () => void]>([
      ["has a pod that does not start", () => undefined],
      [
        "is gone and cannot be made again",
        () => {
          cluster.jobs.clear();
          cluster.breakTemplates();
        },
      ],
    ])("is no matter while Velero is at work, though the Job %s; then it counts from Velero's end", (_, happens) => {
      cluster.pod(job, unschedulable);
      const object = cluster.veleroObject(operation, "InProgress");
      cluster.settle(operation);
      expect(status().runner).toHaveProperty("troubleSince");
      happens();
      cluster.passTime(100 * HOUR);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
      expect(cluster.decide(operation)).toEqual({});
      cluster.setVeleroPhase(object, "Completed", { completionTimestamp: cluster.now.toISOString() });
      cluster.passTime(2 * HOUR - 1);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
      cluster.passTime(1);
      cluster.settle(operation);
      expect(status()).toMatchObject({ phase: "Failed", reason: "RunnerFailed" });
    });

    test("is no matter where nobody set a limit", () => {
      cluster.settings = settingsSchema.parse({ limits: { maxStartTime: "" } });
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.passTime(1000 * HOUR);
      expect(cluster.decide(operation)).toEqual({});
    });

    test("is followed by a re-run with a Job of its own", () => {
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      cluster.passTime(2 * HOUR);
      cluster.settle(operation);
      cluster.annotate(operation, { "ops.vworkspace.io/rerun": "again" });
      cluster.settle(operation);
      expect(status()).toMatchObject({ phase: "Pending", runner: { attempt: 2 } });
      expect(cluster.job(operation).metadata.name).not.toBe(job.metadata.name);
    });
  });
});
