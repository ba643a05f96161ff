import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { decideOrphan } from "../../../../src/dispatcher/decide.ts";
import type { Job, Pod } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, HOUR, messageOf } from "../fakeCluster.ts";
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
const told = () => messageOf(status(), "Running") ?? "";

describe("a pod that is to end and does not", () => {
  const evicted = {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByTaintManager",
    message: "Taint manager: deleting due to NoExecute taint",
    lastTransitionTime: "2026-11-22T11:59:30Z",
  };
  let pod: Pod;

  beforeEach(() => {
    cluster.join(operation, job);
    pod = cluster.pod(job, { ...running, conditions: [evicted] });
    pod = { ...pod, spec: { nodeName: "node-7" } };
    cluster.pods.splice(0, 1, pod);
  });

  test("is told within a minute, with what to do, and is not waited for", () => {
    cluster.changePod(pod, { deletionTimestamp: "2026-11-22T12:00:00Z" });
    cluster.settle(operation);
    expect(told()).toBe(evicted.message);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T12:00:30Z"));
    cluster.setTime("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/DeletionByTaintManager");
    expect(told()).toMatch(/node node-7 has not confirmed that; .* force-delete the pod or taint the node/);
    expect(told()).toMatch(/the dispatcher makes the Job again at 2026-11-22T12:05:00Z$/);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T12:05:00Z"));
    cluster.setTime("12:05:00");
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
    expect(status()).toMatchObject({ phase: "Pending", runner: { attempt: 1 } });
  });

  test("is left alone while its runner goes on", () => {
    cluster.changePod(pod, { deletionTimestamp: "2026-11-22T12:00:00Z" });
    cluster.setTime("12:01:00");
    cluster.settle(operation);
    cluster.runnerWrites(operation, "True", "VeleroBackupInProgress");
    cluster.setTime("12:30:00");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is looked at in time though its node says nothing of it at all", () => {
    cluster.changePod(cluster.changePod(pod, { status: running }), { deletionTimestamp: "2026-11-22T12:00:00Z" });
    cluster.runnerWrites(operation, "True", "VeleroBackupInProgress");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:30Z") });
    cluster.setTime("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Terminating");
  });

  test("of a Job made by hand is told, and the Job left alone", () => {
    cluster.pods.length = 0;
    cluster.endJob(job, "Failed");
    const byHand = cluster.handMadeJob(operation);
    cluster.join(operation, byHand);
    cluster.changePod(cluster.pod(byHand, { ...running, conditions: [evicted] }), {
      deletionTimestamp: "2026-11-22T12:00:00Z",
    });
    cluster.setTime("12:10:00");
    cluster.settle(operation);
    expect(told()).toMatch(/force-delete the pod/);
    expect(cluster.jobs.has(byHand.metadata.name)).toBe(true);
  });
});

describe("a container that goes on after the runner", () => {
  const outlived = (exitCode: number) => ({
    phase: "Running",
    containerStatuses: [
      { name: "runner", state: { terminated: { exitCode, reason: "Error", finishedAt: "2026-11-22T12:00:00Z" } } },
      { name: "istio-proxy", state: { running: {} } },
    ],
  });
  const end = (phase: "Succeeded" | "Failed") => cluster.setStatus(operation, { ...status(), phase });

  test("is told within a minute where it keeps the Job from another try, and ends the attempt at last", () => {
    cluster.join(operation, job);
    cluster.pod(job, outlived(1));
    cluster.settle(operation);
    expect(told()).toBe("exit code 1");
    cluster.setTime("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Error");
    expect(told()).toMatch(
      /^exit code 1; pod .* does not end, because its container istio-proxy still runs after the runner has ended: make that/,
    );
    cluster.passTime(2 * HOUR);
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Failed=True/RunnerFailed");
    expect(cluster.jobs.size).toBe(0);
  });

  test.each(["Succeeded", "Failed"] as const)(
    "beside a %s Operation is told, and goes when its Job's time is over",
    (phase) => {
      cluster.join(operation, job);
      cluster.pod(job, outlived(0));
      end(phase);
      const before = status();
      expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:30Z") });
      cluster.setTime("12:00:30");
      expect(cluster.decide(operation)).toMatchObject({
        action: {
          kind: "announce",
          announcement: { type: "Warning", message: expect.stringContaining("istio-proxy") },
        },
        lookAgainAt: new Date("2026-11-23T12:00:30Z"),
      });
      cluster.passTime(24 * HOUR);
      expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
      expect(cluster.decide(operation)).toEqual({});
      expect(status()).toEqual(before);
    },
  );

  test.each<[string, () => void]>([
    ["a new token", () => cluster.annotate(operation, { "ops.vworkspace.io/rerun": "again" })],
    ["a Job made by hand", () => cluster.handMadeJob(operation)],
  ])("does not keep %s from running a Failed Operation again", (_, ask) => {
    cluster.join(operation, job);
    cluster.pod(job, outlived(2));
    end("Failed");
    cluster.setTime("12:00:30");
    expect(cluster.decide(operation).action?.kind).toBe("announce");
    ask();
    cluster.settle(operation);
    expect(status()).toMatchObject({ phase: "Pending", runner: { attempt: 2 } });
    expect(conditionsOf(status())).toContain("Accepted=True/TemplateValidated");
    // Nobody would look at it any more.
    expect([...cluster.jobs.values()].map(({ metadata }) => metadata.uid)).not.toContain(job.metadata.uid);
  });

  test("is nothing to speak of while the runner itself is at work", () => {
    cluster.pod(job, {
      ...running,
      containerStatuses: [...running.containerStatuses, outlived(0).containerStatuses[1]],
    });
    cluster.setTime("13:00:00");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("does not hold the namespace of an Operation that is gone", () => {
    cluster.pod(job, outlived(0));
    expect(decideOrphan(job, cluster.world())).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
    cluster.pods.length = 0;
    cluster.pod(job, outlived(1));
    expect(decideOrphan(job, cluster.world())).toBeUndefined();
  });
});
