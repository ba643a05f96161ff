import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, MINUTE, messageOf } from "../fakeCluster.ts";

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

describe("pods that a kubelet rejects", () => {
  const rejected = {
    phase: "Failed",
    reason: "OutOfcpu",
    message: "Pod was rejected: Node didn't have enough resource",
  };
  const failed = { phase: "Failed", containerStatuses: [{ name: "runner", state: { terminated: { exitCode: 1 } } }] };
  const gaveUp = (of = job, reason = "BackoffLimitExceeded") => {
    const conditions = [{ type: "Failed", status: "True", reason, lastTransitionTime: "2026-11-22T12:00:00Z" }];
    cluster.jobs.set(of.metadata.name, { ...of, status: { failed: 4, conditions } });
  };

  test("cost the Job its tries and the Operation none: it gets the Job again, after a while", () => {
    for (let tries = 0; tries < 4; tries += 1) cluster.pod(job, rejected);
    gaveUp();
    cluster.settle(operation);
    expect(conditionsOf(status())).toEqual(["Accepted=True/TemplateValidated", "Running=False/OutOfcpu"]);
    expect(told()).toMatch(
      /^Pod was rejected: .*; Job .* gave up; the dispatcher makes it again at 2026-11-22T12:05:00Z$/,
    );
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:05:00Z") });
    cluster.setTime("12:05:00");
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
    expect(status().runner?.attempt).toBe(1);
  });

  test("cost nothing beside a runner that has tried, too", () => {
    cluster.join(operation, job);
    cluster.pod(job, failed);
    cluster.pod(job, rejected);
    gaveUp();
    cluster.setTime("12:05:00");
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob" });
  });

  test.each<[string, () => void]>([
    [
      "whose runner failed each time",
      () => {
        cluster.pod(job, failed);
        gaveUp();
      },
    ],
    [
      "whose runner said that another try is of no use",
      () => {
        cluster.pod(job, rejected);
        gaveUp(job, "PodFailurePolicy");
      },
    ],
    [
      "of which an evicted pod never ran, which cost no try",
      () => {
        cluster.pod(job, { ...rejected, conditions: [{ type: "DisruptionTarget", status: "True" }] });
        gaveUp();
      },
    ],
  ])("are not to blame for a Job %s", (_, happens) => {
    happens();
    cluster.settle(operation);
    expect(status()).toMatchObject({ phase: "Failed", reason: "RunnerFailed" });
  });

  test("do not keep the place for ever", () => {
    for (let round = 0; round < 40 && status().phase !== "Failed"; round += 1) {
      const current = cluster.job(operation);
      cluster.pod(current, rejected);
      const conditions = [
        {
          type: "Failed",
          status: "True",
          reason: "BackoffLimitExceeded",
          lastTransitionTime: cluster.now.toISOString(),
        },
      ];
      cluster.jobs.set(current.metadata.name, { ...current, status: { failed: 4, conditions } });
      cluster.settle(operation);
      cluster.passTime(5 * MINUTE);
      cluster.settle(operation);
    }
    expect(messageOf(status(), "Failed")).toMatch(/^no runner has been at work since 2026-11-22T12:00:00Z/);
    expect(cluster.now).toEqual(new Date("2026-11-22T14:00:00Z"));
  });

  test("of a Job made by hand end it: that is not the dispatcher's to make again", () => {
    cluster.jobs.clear();
    const byHand = cluster.handMadeJob(operation);
    cluster.join(operation, byHand);
    cluster.pod(byHand, rejected);
    gaveUp(byHand);
    cluster.settle(operation);
    expect(status()).toMatchObject({ phase: "Failed", reason: "RunnerFailed" });
  });

  test("leave time to cancel", () => {
    cluster.pod(job, rejected);
    gaveUp();
    cluster.annotate(operation, { "ops.vworkspace.io/cancel": "true" });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Cancelled=True/CancelledByUser");
  });
});
