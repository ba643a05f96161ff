import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { signClaim } from "../approvalClaims.ts";
import type { OperationChange } from "../clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

// Restores from another namespace, of which the dispatcher knows only when somebody with the right has asked for them.

const RERUN = "ops.vworkspace.io/rerun";
const CLUSTER_ID = "app.vworkspace.io/cluster-id";
const CREATED = "2026-11-22T12:00:00Z";
const EXPIRED = ["Accepted=False/AuthorizationExpired", "Failed=True/AuthorizationExpired"];
const ADMITTED = ["Accepted=True/TemplateValidated"];

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});

function restore(change: OperationChange = {}): VeleroOperation {
  const parameters = { backupName: "b1", namespaceMapping: { "org-b": "org-a" } };
  return cluster.add({ type: "Restore", parameters, creationTimestamp: CREATED, ...change });
}

function later(minutes: number): void {
  cluster.now = new Date(cluster.now.getTime() + minutes * 60_000);
}

const settled = (operation: VeleroOperation) => conditionsOf(cluster.status(cluster.settle(operation)));

describe("a Restore from another namespace", () => {
  test("is admitted soon after it was created", () => {
    const operation = restore();
    later(14);
    expect(settled(operation)).toEqual(expect.arrayContaining(ADMITTED));
  });

  test.each<[string, OperationChange, (operation: VeleroOperation) => void]>([
    [
      "the cluster that its label names",
      { labels: { [CLUSTER_ID]: "here" } },
      () => Object.assign(cluster.settings, { clusterId: "here" }),
    ],
    [
      "the engines that its target lists",
      {},
      () => cluster.target("org-a", { annotations: { "ops.vworkspace.io/restore": "velero" } }),
    ],
  ])("that was held back by %s runs no more when that is mended later on", (what, change, mend) => {
    if (what.includes("engines")) cluster.target("org-a", { annotations: { "ops.vworkspace.io/restore": "helm" } });
    const operation = restore(change);
    expect(settled(operation)).not.toEqual(expect.arrayContaining(ADMITTED));
    later(16);
    mend(operation);
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
    expect(messageOf(cluster.status(operation), "Failed")).toContain(`set the annotation ${RERUN} to a new value`);
    expect(cluster.jobs.size).toBe(0);
  });

  test("runs after all when somebody with the right asks for it again", () => {
    const operation = restore();
    later(16);
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
    later(60);
    cluster.annotate(operation, { [RERUN]: "please" });
    expect(settled(operation)).toEqual(expect.arrayContaining(ADMITTED));
  });

  test("has all its time once a cancel that kept it from running again is taken back", () => {
    const operation = restore();
    later(16);
    cluster.settle(operation);
    cluster.annotate(operation, { "ops.vworkspace.io/cancel": "true", [RERUN]: "please" });
    expect(settled(operation)).toContain("Blocked=True/RerunRefused");
    later(60);
    cluster.annotate(operation, { "ops.vworkspace.io/cancel": undefined });
    expect(settled(operation)).toEqual(expect.arrayContaining(ADMITTED));
  });

  test("runs when the approval comes late, given by somebody with the right", () => {
    const operation = restore({ approvals: { required: true } });
    expect(settled(operation)).toContain("Blocked=True/AwaitingApproval");
    later(600);
    expect(settled(operation)).toContain("Blocked=True/AwaitingApproval");
    cluster.approve(operation, signClaim({ op: operation.metadata.name }));
    expect(settled(operation)).toEqual(expect.arrayContaining(ADMITTED));
  });

  test.each<[string, (operation: VeleroOperation) => void]>([
    [
      "another cluster in its label",
      (operation) => {
        const { metadata, ...rest } = cluster.current(operation);
        const labels = { [CLUSTER_ID]: "there" };
        cluster.operations.set(`org-a/${metadata.name}`, { ...rest, metadata: { ...metadata, labels } });
        cluster.settings = { ...cluster.settings, clusterId: "there" };
      },
    ],
    ["an annotation that nobody reads", (operation) => cluster.annotate(operation, { "example.com/note": "x" })],
    ["an empty word that asks for nothing", (operation) => cluster.annotate(operation, { [RERUN]: "" })],
    [
      "a cancel that is taken back",
      (operation) => cluster.annotate(operation, { "ops.vworkspace.io/cancel": undefined }),
    ],
  ])("is not made young again by %s", (_, change) => {
    const operation = restore({ labels: { [CLUSTER_ID]: "here" } });
    cluster.settle(operation);
    later(16);
    change(operation);
    cluster.settle(operation);
    const { [CLUSTER_ID]: clusterId = "" } = cluster.current(operation).metadata.labels ?? {};
    cluster.settings = { ...cluster.settings, clusterId };
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
  });

  test("that is as old as its creation when it is first looked at, whatever was changed since", () => {
    const operation = restore({ creationTimestamp: "2026-11-22T11:30:00Z", annotations: { [RERUN]: "now" } });
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
  });

  test("that existed before the policy did is refused", () => {
    cluster.rightsAskedSince = new Date("2026-11-22T12:00:01Z");
    const operation = restore();
    later(1);
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
    expect(messageOf(cluster.status(operation), "Failed")).toContain("before the policy");
  });

  test("is not carried out in a cluster that has no such policy", () => {
    cluster.rightsAskedSince = undefined;
    expect(settled(restore())).toEqual(expect.arrayContaining(["Accepted=False/PolicyMissing"]));
  });
});

test("an Operation of the own namespace runs whenever it can", () => {
  cluster.rightsAskedSince = undefined;
  const parameters = { backupName: "b1", namespaceMapping: { "org-a": "org-a" } };
  for (const operation of [cluster.add(), restore({ parameters, namespace: "org-a" })]) {
    later(6000);
    expect(conditionsOf(cluster.status(cluster.settle(operation)))).not.toEqual(expect.arrayContaining(EXPIRED));
    expect(cluster.status(operation).request).toBeUndefined();
  }
});

describe("an Operation that an older version admitted", () => {
  /** As it left it: nothing says what was admitted. */
  function admittedBefore(operation: VeleroOperation): VeleroOperation {
    cluster.settle(operation);
    const { admittedSpec: _, request: __, ...status } = cluster.status(operation);
    return cluster.setStatus(operation, status);
  }

  test("goes on, and it is noted what was admitted", () => {
    const operation = admittedBefore(cluster.add());
    expect(settled(operation)).toEqual(expect.arrayContaining(ADMITTED));
    expect(cluster.status(operation).admittedSpec).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("is judged by what an administrator has closed meanwhile", () => {
    const operation = admittedBefore(cluster.add({ parameters: { storageLocation: "a" } }));
    cluster.settings = { ...cluster.settings, storageLocationsClosed: true };
    expect(settled(operation)).toContain("Accepted=False/StorageLocationForbidden");
  });

  test("is left alone once its Velero object is recorded", () => {
    const operation = admittedBefore(restore());
    cluster.rightsAskedSince = new Date("2026-11-22T13:00:00Z");
    cluster.veleroObject(operation, "InProgress");
    expect(settled(operation)).not.toEqual(expect.arrayContaining(EXPIRED));
  });

  test("is refused where it came in when nobody was asked", () => {
    const operation = admittedBefore(restore());
    cluster.rightsAskedSince = new Date("2026-11-22T13:00:00Z");
    expect(settled(operation)).toEqual(expect.arrayContaining(EXPIRED));
  });
});
