import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { decideOrphan } from "../../../../src/dispatcher/decide.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { type Job, type Pod, pods } from "../../../../src/kube/resources.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

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
const at = (time: string) => {
  cluster.now = new Date(`2026-11-22T${time}Z`);
};
const pass = (ms: number) => {
  cluster.now = new Date(cluster.now.getTime() + ms);
};
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const running = { phase: "Running", containerStatuses: [{ name: "runner", state: { running: {} } }] };
const creating = {
  phase: "Pending",
  startTime: "2026-11-22T12:00:00Z",
  containerStatuses: [{ name: "runner", state: { waiting: { reason: "ContainerCreating" } } }],
};
const unschedulable = {
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/3 nodes" }],
};

/** As the API server has it after a change by others. */
function change(pod: Pod, next: { status?: object; deletionTimestamp?: string }): Pod {
  const { deletionTimestamp, status: nextStatus } = next;
  const metadata = { ...pod.metadata, ...(deletionTimestamp && { deletionTimestamp }) };
  const changed = pods.schema.parse({ ...pod, metadata, ...(nextStatus && { status: nextStatus }) });
  cluster.pods.splice(cluster.pods.indexOf(pod), 1, changed);
  return changed;
}

/** What a runner writes when it is at work. */
function runnerSays(is: "True" | "False", reason: string): void {
  const { conditions = [], ...rest } = status();
  const said = conditions.map((one) =>
    one.type === "Running" ? { ...one, status: is, reason, message: "by its runner" } : one,
  );
  cluster.setStatus(operation, { ...rest, conditions: said });
}

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
    runnerSays("True", "VeleroBackupInProgress");
  });

  test.each([
    ["True", "VeleroBackupInProgress"],
    ["False", "Pending"],
  ] as const)("is told once; a runner that goes on, Running=%s, has the word from then on", (is, reason) => {
    runnerSays(is, reason);
    cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/NodeNotReady");
    runnerSays(is, reason);
    pass(5 * HOUR);
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is told once although its clock is ahead of the dispatcher's", () => {
    cluster.pod(job, silentSince("12:00:30"));
    cluster.settle(operation);
    runnerSays("True", "VeleroBackupInProgress");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is told again when it falls silent again, and not before", () => {
    const pod = cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    runnerSays("True", "VeleroBackupInProgress");
    const back = change(pod, { status: running });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=True/VeleroBackupInProgress");
    pass(MINUTE);
    change(back, { status: silentSince("12:00:59") });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/NodeNotReady");
  });

  test("and whose runner says nothing any more does not hold the place for ever", () => {
    cluster.pod(job, silentSince("11:59:59"));
    cluster.settle(operation);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T14:00:00Z"));
    pass(2 * HOUR);
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Failed=True/RunnerFailed");
  });
});

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
    change(pod, { deletionTimestamp: "2026-11-22T12:00:00Z" });
    cluster.settle(operation);
    expect(told()).toBe(evicted.message);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T12:00:30Z"));
    at("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/DeletionByTaintManager");
    expect(told()).toMatch(/node node-7 says that it has; .* force-delete the pod or taint the node/);
    expect(told()).toMatch(/its Job is made again at 2026-11-22T12:05:00Z$/);
    expect(cluster.decide(operation).lookAgainAt).toEqual(new Date("2026-11-22T12:05:00Z"));
    at("12:05:00");
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
    expect(status()).toMatchObject({ phase: "Pending", runner: { attempt: 1 } });
  });

  test("is left alone while its runner goes on", () => {
    change(pod, { deletionTimestamp: "2026-11-22T12:00:00Z" });
    at("12:01:00");
    cluster.settle(operation);
    runnerSays("True", "VeleroBackupInProgress");
    at("12:30:00");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is looked at in time though its node says nothing of it at all", () => {
    change(change(pod, { status: running }), { deletionTimestamp: "2026-11-22T12:00:00Z" });
    runnerSays("True", "VeleroBackupInProgress");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:30Z") });
    at("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Terminating");
  });

  test("of a Job made by hand is told, and the Job left alone", () => {
    cluster.pods.length = 0;
    cluster.endJob(job, "Failed");
    const byHand = cluster.handMadeJob(operation);
    cluster.join(operation, byHand);
    change(cluster.pod(byHand, { ...running, conditions: [evicted] }), { deletionTimestamp: "2026-11-22T12:00:00Z" });
    at("12:10:00");
    cluster.settle(operation);
    expect(told()).toMatch(/force-delete the pod/);
    expect(cluster.jobs.has(byHand.metadata.name)).toBe(true);
  });
});

describe("a pod that does not start", () => {
  const FAILED = 'MountVolume.SetUp failed for volume "ca" : configmap "store-ca" not found';

  test("for what only Events tell of is told after half a minute", () => {
    const pod = cluster.pod(job, creating);
    cluster.warn(pod, "FailedMount", FAILED, "2026-11-22T12:00:05Z");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:00:30Z") });
    at("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/FailedMount");
    expect(told()).toBe(FAILED);
    change(pod, { status: running });
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Pending");
  });

  test("is told in the same words while it is the same", () => {
    const pod = cluster.pod(job, creating);
    const sandbox = (id: string) => `Failed to create pod sandbox: network for sandbox "${id.repeat(64)}": no IP`;
    cluster.warn(pod, "FailedCreatePodSandBox", sandbox("a"), "2026-11-22T12:00:05Z");
    at("12:00:30");
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
    at("12:10:00");
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
      pass(2 * HOUR - 1);
      expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T14:00:00Z") });
      pass(1);
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
      pass(2 * HOUR);
      cluster.step(operation);
      expect(status().runner?.jobUIDs).toEqual([job.metadata.uid]);
    });

    test("is counted anew when a runner was at work in between", () => {
      const pod = cluster.pod(job, unschedulable);
      cluster.settle(operation);
      pass(HOUR);
      change(pod, { status: running });
      cluster.settle(operation);
      expect(status().runner).not.toHaveProperty("troubleSince");
      pass(10 * HOUR);
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
      pass(10 * HOUR);
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
      pass(100 * HOUR);
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
      pass(100 * HOUR);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
      expect(cluster.decide(operation)).toEqual({});
      cluster.setVeleroPhase(object, "Completed", { completionTimestamp: cluster.now.toISOString() });
      pass(2 * HOUR - 1);
      cluster.settle(operation);
      expect(status().phase).toBe("Pending");
      pass(1);
      cluster.settle(operation);
      expect(status()).toMatchObject({ phase: "Failed", reason: "RunnerFailed" });
    });

    test("is no matter where nobody set a limit", () => {
      cluster.settings = settingsSchema.parse({ limits: { maxStartTime: "" } });
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      pass(1000 * HOUR);
      expect(cluster.decide(operation)).toEqual({});
    });

    test("is followed by a re-run with a Job of its own", () => {
      cluster.pod(job, unschedulable);
      cluster.settle(operation);
      pass(2 * HOUR);
      cluster.settle(operation);
      cluster.annotate(operation, { "ops.vworkspace.io/rerun": "again" });
      cluster.settle(operation);
      expect(status()).toMatchObject({ phase: "Pending", runner: { attempt: 2 } });
      expect(cluster.job(operation).metadata.name).not.toBe(job.metadata.name);
    });
  });
});

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
    expect(told()).toMatch(/^Pod was rejected: .*; Job .* gave up and is made again at 2026-11-22T12:05:00Z$/);
    expect(cluster.decide(operation)).toEqual({ lookAgainAt: new Date("2026-11-22T12:05:00Z") });
    at("12:05:00");
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob", uid: job.metadata.uid });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob", name: job.metadata.name });
    expect(status().runner?.attempt).toBe(1);
  });

  test("cost nothing beside a runner that has tried, too", () => {
    cluster.join(operation, job);
    cluster.pod(job, failed);
    cluster.pod(job, rejected);
    gaveUp();
    at("12:05:00");
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
      pass(5 * MINUTE);
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
    at("12:00:30");
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Running=False/Error");
    expect(told()).toMatch(
      /^exit code 1; pod .* does not end, because its container istio-proxy still runs: make that/,
    );
    pass(2 * HOUR);
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
      at("12:00:30");
      expect(cluster.decide(operation)).toMatchObject({
        action: {
          kind: "announce",
          announcement: { type: "Warning", message: expect.stringContaining("istio-proxy") },
        },
        lookAgainAt: new Date("2026-11-23T12:00:30Z"),
      });
      pass(24 * HOUR);
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
    at("12:00:30");
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
    at("13:00:00");
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
