import { beforeEach, describe, expect, test } from "vitest";
import { operationSchema } from "../../../../src/api/operation.ts";
import { decide } from "../../../../src/dispatcher/decide.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { signClaim } from "../approvalClaims.ts";
import { condition } from "../clusterObjects.ts";
import { Cluster, conditionsOf } from "../fakeCluster.ts";
import {
  ADMITTED,
  BLOCKED,
  type CheckCase,
  canBeMended,
  expectAdmittedOnceMended,
  expectStatus,
} from "./checkCases.ts";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

const cases: CheckCase[] = [
  { what: "nothing is in the way of a Backup", conditions: ADMITTED },
  { what: "nothing is in the way of a Restore", operation: { type: "Restore" }, conditions: ADMITTED },
  {
    what: "0: a restored copy",
    operation: { labels: { "velero.io/restore-name": "r1" } },
    phase: "Failed",
    conditions: ["Accepted=False/RestoredCopy", "Failed=True/RestoredCopy", "Running=False/RestoredCopy"],
  },
  {
    what: "2: a target that is no ApplicationInstance",
    operation: { targetRef: { apiVersion: "v1", kind: "Secret" } },
    phase: "Failed",
    conditions: ["Accepted=False/ValidationFailed", "Failed=True/ValidationFailed", "Running=False/ValidationFailed"],
    says: /spec\.targetRef\.apiVersion: "v1" must be of the group apps\.vworkspace\.io/,
  },
  {
    what: "8: nobody has approved it",
    operation: { approvals: { required: true } },
    conditions: [BLOCKED, "Blocked=True/AwaitingApproval", "Running=False/Pending"],
  },
  { what: "8: nobody needs to approve it", operation: { approvals: { required: false } }, conditions: ADMITTED },
  {
    what: "the template is broken",
    world: (cluster) => cluster.breakTemplates(),
    mend: (cluster) => cluster.mendTemplates(),
    conditions: ["Accepted=False/TemplateInvalid", "Running=False/Pending"],
    says: /operation-jobs, backup\.yaml: not valid YAML/,
  },
];

test.each(cases)("$what: the status says so, once", expectStatus);

test.each(cases.filter(canBeMended))("$what: admitted as soon as that is mended", expectAdmittedOnceMended);

test("the checks are made in order: the first that does not hold is shown", () => {
  cluster.settings = settingsSchema.parse({ namespaces: ["org-b"], clusterId: "eu-1" });
  cluster.breakTemplates();
  cluster.location("cold", { phase: "Unavailable" });
  const operation = cluster.add({
    labels: { "app.vworkspace.io/cluster-id": "us-1" },
    approvals: { required: true },
    parameters: { storageLocation: "cold", csiSnapshotClassName: "fast" },
  });
  cluster.targets.clear();
  const seen: (string | undefined)[] = [];
  const look = (mend: () => void) => {
    cluster.step(operation);
    const status = cluster.status(operation);
    const blocked = status.conditions?.find(({ type, status }) => type === "Blocked" && status === "True");
    seen.push((blocked ?? status.conditions?.find(({ type }) => type === "Accepted"))?.reason);
    mend();
  };
  look(() => {
    cluster.settings = settingsSchema.parse({ clusterId: "eu-1" });
  });
  look(() => {
    cluster.settings = settingsSchema.parse({ clusterId: "us-1" });
  });
  look(() => cluster.target("org-a", { spec: { release: { namespace: "org-b" } } }));
  look(() => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "" } }));
  look(() => cluster.target("org-a", { ready: [condition("Ready", "Unknown", "Installing")] }));
  look(() => cluster.target("org-a"));
  look(() => cluster.snapshotClass("fast"));
  look(() => cluster.location("cold"));
  look(() => cluster.approve(operation, signClaim({ op: operation.metadata.name })));
  look(() => cluster.mendTemplates());
  look(() => undefined);
  expect(seen).toEqual([
    "OutOfScope",
    "ClusterMismatch",
    "TargetNotFound",
    "TargetNamespaceForbidden",
    "CapabilityMissing",
    "TargetNotReady",
    "MissingVolumeSnapshotClass",
    "StorageLocationUnavailable",
    "AwaitingApproval",
    "TemplateInvalid",
    "TemplateValidated",
  ]);
});

describe("an Operation that is not ours is left alone", () => {
  const foreign = { type: "Backup", engine: "velero", targetRef: { apiVersion: "v1", kind: "X", name: "x" } };
  test.each([
    ["type", { ...foreign, type: "Upgrade" }],
    ["engine", { ...foreign, engine: "volsync" }],
    ["nothing to go by", undefined],
  ])("%s", (_, spec) => {
    const operation = operationSchema.parse({
      apiVersion: "ops.vworkspace.io/v1alpha1",
      kind: "Operation",
      metadata: {
        name: "o",
        namespace: "org-a",
        uid: "u",
        resourceVersion: "1",
        creationTimestamp: "2026-11-22T10:00:00Z",
      },
      spec,
    });
    expect(decide(operation, cluster.world())).toEqual({});
  });
});

test("it is admitted before its Job is made, and says which Job that will be", () => {
  const operation = cluster.add({ name: "nightly" });
  expect(cluster.step(operation)).toMatchObject({ kind: "writeStatus" });
  const { runner, logsRef, startedAt } = cluster.status(operation);
  expect(runner).toEqual({
    attempt: 1,
    jobName: expect.stringMatching(/^nightly-[0-9a-f]{10}$/),
    jobNamespace: "vworkspace-system",
  });
  expect(logsRef).toEqual({
    apiVersion: "batch/v1",
    kind: "Job",
    name: runner?.jobName,
    namespace: "vworkspace-system",
  });
  expect(startedAt).toBe("2026-11-22T12:00:00Z");
  expect(cluster.step(operation)).toMatchObject({
    kind: "createJob",
    name: runner?.jobName,
    manifest: {
      metadata: { name: runner?.jobName, labels: { "ops.vworkspace.io/operation": operation.metadata.uid } },
    },
  });
  expect(cluster.step(operation)).toBeUndefined();
});

test("a template that breaks between admission and Job takes the admission back", () => {
  const operation = cluster.add();
  cluster.step(operation);
  cluster.breakTemplates();
  cluster.settle(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Accepted=False/TemplateInvalid");
  cluster.mendTemplates();
  cluster.settle(operation);
  expect(cluster.job(operation).metadata.name).toBe(cluster.status(operation).runner?.jobName);
});

test("a deleted Operation is not begun", () => {
  const operation = cluster.add({ deletionTimestamp: "2026-11-22T11:59:00Z" });
  expect(cluster.decide(operation)).toEqual({});
});
