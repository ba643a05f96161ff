import { beforeEach, describe, expect, test } from "vitest";
import { operationSchema } from "../../../../src/api/operation.ts";
import { decide } from "../../../../src/dispatcher/decide.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { Cluster, condition, conditionsOf, messageOf, type OperationChange, signClaim } from "../fakeCluster.ts";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

const ADMITTED = ["Accepted=True/TemplateValidated", "Running=False/Pending"];
const BLOCKED = "Accepted=Unknown/Pending";

interface Case {
  what: string;
  operation?: OperationChange;
  world?: () => void;
  /** What sets things right. */
  mend?: () => void;
  phase?: string;
  conditions: string[];
  says?: RegExp;
}

const settings = (change: object) => () => {
  cluster.settings = settingsSchema.parse(change);
};

const cases: Case[] = [
  { what: "nothing is in the way of a Backup", conditions: ADMITTED },
  { what: "nothing is in the way of a Restore", operation: { type: "Restore" }, conditions: ADMITTED },
  {
    what: "0: a restored copy",
    operation: { labels: { "velero.io/restore-name": "r1" } },
    phase: "Failed",
    conditions: ["Accepted=False/RestoredCopy", "Failed=True/RestoredCopy", "Running=False/RestoredCopy"],
  },
  {
    what: "1: a namespace that is not watched",
    world: settings({ namespaces: ["org-b"] }),
    mend: settings({ namespaces: ["org-b", "org-a"] }),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
  },
  {
    what: "1: the control plane's label is missing",
    world: settings({ requireManagedByLabel: true }),
    mend: settings({}),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
    says: /app\.vworkspace\.io\/managed-by=control-plane/,
  },
  {
    what: "1: the namespace lacks the gate label",
    world: settings({ namespaceGateLabel: "backups.example.com/on" }),
    mend: () => cluster.namespace("org-a", { "backups.example.com/on": "true" }),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
    says: /backups\.example\.com\/on=true/,
  },
  {
    what: "1: another cluster's Operation",
    operation: { labels: { "app.vworkspace.io/cluster-id": "us-1" } },
    world: settings({ clusterId: "eu-1" }),
    conditions: ["Accepted=False/ClusterMismatch", "Running=False/Pending"],
    says: /"us-1".*"eu-1"/,
  },
  {
    what: "1: a cluster is named, and this one has no name",
    operation: { labels: { "app.vworkspace.io/cluster-id": "us-1" } },
    conditions: ["Accepted=False/ClusterMismatch", "Running=False/Pending"],
  },
  {
    what: "2: a target that is no ApplicationInstance",
    operation: { targetRef: { apiVersion: "v1", kind: "Secret" } },
    phase: "Failed",
    conditions: ["Accepted=False/ValidationFailed", "Failed=True/ValidationFailed", "Running=False/ValidationFailed"],
    says: /spec\.targetRef\.apiVersion: "v1" must be of the group apps\.vworkspace\.io/,
  },
  {
    what: "3: the target does not exist",
    world: () => cluster.targets.clear(),
    mend: () => cluster.target("org-a"),
    conditions: ["Accepted=False/TargetNotFound", "Running=False/Pending"],
    says: /no ApplicationInstance "shop" in namespace org-a/,
  },
  {
    what: "3: a Restore brings its target",
    operation: { type: "Restore" },
    world: () => cluster.targets.clear(),
    conditions: ADMITTED,
  },
  {
    what: "3: a release in another namespace",
    world: () => cluster.target("org-a", { spec: { release: { namespace: "org-b" } } }),
    mend: () => cluster.target("org-a", { spec: { release: { namespace: "org-a" } } }),
    conditions: ["Accepted=False/TargetNamespaceForbidden", "Running=False/Pending"],
  },
  {
    what: "3: a release in another namespace, for a Restore",
    operation: { type: "Restore" },
    world: () => cluster.target("org-a", { spec: { release: { namespace: "org-b" } } }),
    conditions: ["Accepted=False/TargetNamespaceForbidden", "Running=False/Pending"],
  },
  {
    what: "4: the target lists other engines",
    world: () => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync, helm" } }),
    mend: () => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync, velero" } }),
    conditions: ["Accepted=False/CapabilityMissing", "Running=False/Pending"],
  },
  {
    what: "4: what the target says of Backups does not bind a Restore",
    operation: { type: "Restore" },
    world: () => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync" } }),
    conditions: ADMITTED,
  },
  {
    what: "5: the target is not ready",
    world: () => cluster.target("org-a", { ready: [condition("Ready", "False", "Installing", "2 of 3 pods")] }),
    mend: () => cluster.target("org-a"),
    conditions: [BLOCKED, "Blocked=True/TargetNotReady", "Running=False/Pending"],
    says: /Installing: 2 of 3 pods/,
  },
  {
    what: "5: a target that says nothing of being ready",
    world: () => cluster.target("org-a", { ready: [] }),
    conditions: ADMITTED,
  },
  {
    what: "5: the setting lets unready targets through",
    world: () => {
      cluster.settings = settingsSchema.parse({ requireTargetReady: false });
      cluster.target("org-a", { ready: [condition("Ready", "False", "Installing")] });
    },
    conditions: ADMITTED,
  },
  {
    what: "5: a Restore mends an unready target",
    operation: { type: "Restore" },
    world: () => cluster.target("org-a", { ready: [condition("Ready", "False", "Broken")] }),
    conditions: ADMITTED,
  },
  {
    what: "2: the location is closed, because nothing says that it is open",
    operation: { parameters: { storageLocation: "cold" } },
    world: () => {
      cluster.location("cold");
      settings({ storageLocationsClosed: true, storageLocations: { gold: ["org-a"] } })();
    },
    mend: settings({ storageLocationsClosed: true, storageLocations: { cold: ["org-b", "org-a"] } }),
    conditions: ["Accepted=False/StorageLocationForbidden", "Running=False/Pending"],
    says: /storageLocation: "cold" is not open to namespace org-a/,
  },
  {
    what: "2: the default location is closed",
    world: () => {
      cluster.location("cold", { phase: "Available" }, { default: true });
      settings({ storageLocationsClosed: true })();
    },
    mend: settings({ storageLocationsClosed: true, storageLocations: { cold: ["org-a"] } }),
    conditions: ["Accepted=False/StorageLocationForbidden", "Running=False/Pending"],
    says: /the default "cold" is not open/,
  },
  {
    what: "2: a closed location is no matter of a Restore's",
    operation: { type: "Restore" },
    world: settings({ storageLocationsClosed: true, snapshotClassesClosed: true }),
    conditions: ADMITTED,
  },
  {
    what: "2: the snapshot class is another team's",
    operation: { parameters: { csiSnapshotClassName: "fast" } },
    world: () => {
      cluster.snapshotClass("fast");
      settings({ snapshotClasses: { fast: ["org-b"] } })();
    },
    mend: settings({ snapshotClasses: { fast: ["org-b", "org-a"] } }),
    conditions: ["Accepted=False/SnapshotClassForbidden", "Running=False/Pending"],
    says: /csiSnapshotClassName: "fast" is not open to namespace org-a; name one that is$/,
  },
  {
    what: "2: the snapshot class is closed, because nothing says that it is open",
    operation: { parameters: { csiSnapshotClassName: "constructor" } },
    world: () => {
      cluster.snapshotClass("constructor");
      settings({ snapshotClassesClosed: true, snapshotClasses: { fast: ["org-a"] } })();
    },
    mend: settings({ snapshotClasses: { fast: ["org-b"] } }),
    conditions: ["Accepted=False/SnapshotClassForbidden", "Running=False/Pending"],
  },
  {
    what: "2: no snapshot class is named, whatever is closed",
    world: settings({ snapshotClassesClosed: true }),
    conditions: ADMITTED,
  },
  {
    what: "6: the snapshot class does not exist",
    operation: { parameters: { csiSnapshotClassName: "fast" } },
    mend: () => cluster.snapshotClass("fast"),
    conditions: [BLOCKED, "Blocked=True/MissingVolumeSnapshotClass", "Running=False/Pending"],
    says: /"fast"/,
  },
  {
    what: "7: the location does not exist",
    operation: { parameters: { storageLocation: "cold" } },
    mend: () => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
  },
  {
    what: "7: Velero cannot reach the location",
    operation: { parameters: { storageLocation: "cold" } },
    world: () => cluster.location("cold", { phase: "Unavailable", message: "no such\nbucket" }),
    mend: () => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"cold" is Unavailable: no such bucket$/,
  },
  {
    what: "7: Velero has not looked at the location yet",
    operation: { parameters: { storageLocation: "cold" } },
    world: () => cluster.location("cold", {}),
    mend: () => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
  },
  {
    what: "7: the location is read-only",
    operation: { parameters: { storageLocation: "cold" } },
    world: () => cluster.location("cold", { phase: "Available" }, { accessMode: "ReadOnly" }),
    mend: () => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /is ReadOnly$/,
  },
  {
    what: "7: Velero cannot reach its default location",
    world: () => {
      cluster.location("default");
      cluster.location("main", { phase: "Unavailable", message: "no route" }, { default: true });
    },
    mend: () => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"main" is Unavailable: no route$/,
  },
  {
    what: "7: the default location is read-only",
    world: () => cluster.location("main", { phase: "Available" }, { accessMode: "ReadOnly", default: true }),
    mend: () => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"main" is ReadOnly$/,
  },
  {
    what: "7: the location that Velero falls back to is out of reach",
    world: () => cluster.location("default", { phase: "Unavailable" }),
    mend: () => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"default" is Unavailable$/,
  },
  {
    what: "7: nothing says which location Velero falls back to",
    world: () => cluster.location("cold"),
    conditions: ADMITTED,
  },
  {
    what: "7: Velero fell back to a location that is out of reach",
    operation: { status: { runner: { storageLocation: "server-default" } } },
    mend: () => cluster.location("server-default"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"server-default" does not exist$/,
  },
  {
    what: "7: a runner found that the files of a Restore are out of reach",
    operation: { type: "Restore", status: { runner: { storageLocation: "cold" } } },
    world: () => cluster.location("cold", { phase: "Unavailable", message: "no route" }),
    mend: () => cluster.location("cold", { phase: "Available" }, { accessMode: "ReadOnly" }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"cold" is Unavailable: no route$/,
  },
  {
    what: "7: a Restore does not care for the default location",
    operation: { type: "Restore" },
    world: () => cluster.location("main", { phase: "Unavailable" }, { default: true }),
    conditions: ADMITTED,
  },
  {
    what: "8: nobody has approved it",
    operation: { approvals: { required: true } },
    conditions: [BLOCKED, "Blocked=True/AwaitingApproval", "Running=False/Pending"],
  },
  { what: "8: nobody needs to approve it", operation: { approvals: { required: false } }, conditions: ADMITTED },
  {
    what: "the template is broken",
    world: () => cluster.breakTemplates(),
    mend: () => cluster.mendTemplates(),
    conditions: ["Accepted=False/TemplateInvalid", "Running=False/Pending"],
    says: /operation-jobs, backup\.yaml: no YAML/,
  },
];

test.each(cases)(
  "$what: the status says so, once",
  ({ operation: change, world, phase = "Pending", conditions, says }) => {
    const operation = cluster.add(change);
    world?.();
    cluster.step(operation);
    const status = cluster.status(operation);
    expect(status.phase).toBe(phase);
    expect(conditionsOf(status)).toEqual(conditions);
    if (says !== undefined)
      expect(messageOf(status, conditions[1]?.startsWith("Blocked") ? "Blocked" : "Accepted")).toMatch(says);
    if (conditions !== ADMITTED) expect(cluster.decide(operation)).toEqual({});
  },
);

test.each(cases.filter(({ mend }) => mend !== undefined))(
  "$what: admitted as soon as that is mended",
  ({ operation: change, world, mend, conditions }) => {
    const operation = cluster.add(change);
    world?.();
    cluster.step(operation);
    mend?.();
    cluster.step(operation);
    const wasBlocked = conditions.some((one) => one.startsWith("Blocked"));
    expect(conditionsOf(cluster.status(operation))).toEqual([
      "Accepted=True/TemplateValidated",
      ...(wasBlocked ? ["Blocked=False/Unblocked"] : []),
      "Running=False/Pending",
    ]);
  },
);

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
