import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import type { OperationChange } from "./clusterObjects.ts";
import { Cluster, conditionsOf } from "./fakeCluster.ts";
import { running } from "./jobs/podStatuses.ts";

const CANCEL = "ops.vworkspace.io/cancel";
const RERUN = "ops.vworkspace.io/rerun";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

describe("cancel", () => {
  const CANCELLED = ["Running=False/CancelledByUser", "Cancelled=True/CancelledByUser"];
  const cancel = (operation: VeleroOperation) => cluster.annotate(operation, { [CANCEL]: "true" });

  test.each<[string, OperationChange]>([
    ["nobody has looked at", {}],
    ["waits for an approval", { approvals: { required: true } }],
    ["is refused for now", { labels: { "app.vworkspace.io/cluster-id": "elsewhere" } }],
  ])("ends an Operation that %s", (_, change) => {
    const operation = cluster.add(change);
    if (Object.keys(change).length > 0) cluster.settle(operation);
    cancel(operation);
    cluster.settle(operation);
    expect(cluster.status(operation).phase).toBe("Failed");
    expect(conditionsOf(cluster.status(operation))).toEqual(expect.arrayContaining(CANCELLED));
    expect(conditionsOf(cluster.status(operation))).not.toContainEqual(expect.stringMatching(/^Blocked=True/));
    expect(cluster.jobs.size).toBe(0);
  });

  test("ends one that is admitted and has no Job yet", () => {
    const operation = cluster.add();
    cluster.step(operation);
    cancel(operation);
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toEqual(expect.arrayContaining(CANCELLED));
    expect(cluster.jobs.size).toBe(0);
  });

  test("ends one whose Job cannot start, and takes the Job away first", () => {
    const operation = cluster.settle(cluster.add());
    const image = { containerStatuses: [{ name: "runner", state: { waiting: { reason: "ImagePullBackOff" } } }] };
    cluster.pod(cluster.job(operation), image);
    cancel(operation);
    expect(cluster.step(operation)).toMatchObject({ kind: "deleteJob" });
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toEqual(expect.arrayContaining(CANCELLED));
  });

  test("leaves a Job alone that was made by hand, whether it ever starts or not", () => {
    const operation = cluster.settle(cluster.add());
    const byHand = cluster.handMadeJob(operation);
    cancel(operation);
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toEqual(expect.arrayContaining(CANCELLED));
    expect([...cluster.jobs.keys()]).toEqual([byHand.metadata.name]);
  });

  test("is the runner's business once a container has started", () => {
    const operation = cluster.settle(cluster.add());
    cluster.pod(cluster.job(operation), running);
    cancel(operation);
    expect(cluster.decide(operation)).toEqual({});
  });

  test("makes sure of a runner where Velero may have begun", () => {
    const operation = cluster.settle(cluster.add());
    cluster.join(operation, cluster.job(operation));
    cluster.veleroObject(operation, "InProgress");
    cluster.jobs.clear();
    cancel(operation);
    expect(cluster.step(operation)).toMatchObject({ kind: "writeStatus" });
    expect(cluster.step(operation)).toMatchObject({ kind: "createJob" });
    expect(cluster.step(operation)).toBeUndefined();
  });

  test.each(["Succeeded", "Failed", "Cancelled"] as const)("changes nothing about one that is %s", (phase) => {
    const operation = cluster.add();
    cluster.setStatus(operation, { phase });
    cancel(operation);
    expect(cluster.decide(operation)).toEqual({});
  });

  describe("after the runner gave up on it", () => {
    let operation: VeleroOperation;
    const giveUp = () => {
      cluster.join(operation, cluster.job(operation));
      cluster.endJob(cluster.job(operation), "Failed");
    };

    // The dispatcher had not heard of the Velero object when it called the attempt failed.
    beforeEach(() => {
      operation = cluster.settle(cluster.add());
      giveUp();
      cluster.settle(operation);
      cluster.veleroObject(operation, "InProgress");
      cancel(operation);
    });

    test("is carried out by a new one, without anybody asking again", () => {
      const old = cluster.job(operation);
      cluster.settle(operation);
      expect(cluster.job(operation).metadata.uid).not.toBe(old.metadata.uid);
      expect(cluster.job(operation).metadata.name).toBe(old.metadata.name);
      const { phase, runner, engineRef, observedRerun } = cluster.status(operation);
      expect({ phase, observedRerun }).toEqual({ phase: "Pending" });
      expect(runner).toMatchObject({ attempt: 1, jobUIDs: [old.metadata.uid] });
      expect(engineRef).toBeDefined();
      expect(conditionsOf(cluster.status(operation))).toEqual([
        "Accepted=True/TemplateValidated",
        "Running=False/Pending",
        "Cancelled=Unknown/CancelRequested",
      ]);
    });

    test.each<[string, string, () => void]>([
      ["Velero has completed the backup", "CancelRequested", () => cluster.veleroObject(operation, "Completed")],
      ["nobody asks for it any more", "CancelRequested", () => cluster.annotate(operation, { [CANCEL]: undefined })],
      ["nobody ever asked", "DeadlineExceeded", () => cluster.annotate(operation, { [CANCEL]: undefined })],
    ])("goes on, once a runner has acted on it, though %s (%s)", (_, reason, happens) => {
      const unknown = { type: "Cancelled", status: "Unknown", reason, message: "" } as const;
      const { conditions = [], ...rest } = cluster.status(operation);
      const marked = { ...unknown, lastTransitionTime: "2026-11-22T09:00:00Z" };
      cluster.setStatus(operation, { ...rest, conditions: [...conditions, marked] });
      expect(cluster.status(operation).phase).toBe("Failed");
      happens();
      cluster.settle(operation);
      expect(cluster.job(operation).status?.conditions).toBeUndefined();
      expect(cluster.status(operation).phase).toBe("Pending");
      expect(conditionsOf(cluster.status(operation))).toContain(`Cancelled=Unknown/${reason}`);
    });

    test("comes before the refusal of a re-run", () => {
      cluster.annotate(operation, { [RERUN]: "again" });
      cluster.settle(operation);
      expect(cluster.status(operation)).toMatchObject({ phase: "Pending" });
    });

    test("is not tried for ever once Velero is done, and has all its tries again after a re-run", () => {
      const tries = () => {
        for (let made = 0; ; made += 1) {
          cluster.settle(operation);
          if (cluster.status(operation).phase === "Failed") return made;
          giveUp();
        }
      };
      cluster.settle(operation);
      const [object] = cluster.veleroObjects.values();
      if (object !== undefined) cluster.setVeleroPhase(object, "Deleting");
      expect(tries()).toBeGreaterThan(2);
      if (object !== undefined) cluster.setVeleroPhase(object, "InProgress");
      cluster.annotate(operation, { [CANCEL]: undefined, [RERUN]: "again" });
      cluster.settle(operation);
      cancel(operation);
      if (object !== undefined) cluster.setVeleroPhase(object, "Deleting");
      expect(tries()).toBeGreaterThan(2);
    });

    test("has nothing left to do where Velero has ended", () => {
      cluster.step(operation);
      for (const { metadata } of cluster.veleroObjects.values()) cluster.veleroObjects.delete(metadata.uid);
      cluster.settle(operation);
      expect(cluster.status(operation).phase).toBe("Failed");
    });
  });

  test.each(["false", "TRUE", "yes", ""])("is asked for by true alone, not by %j", (value) => {
    const operation = cluster.add({ annotations: { [CANCEL]: value } });
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
  });
});
