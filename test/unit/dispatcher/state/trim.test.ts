import { describe, expect, test } from "vitest";
import { isVeleroOperation, type Operation } from "../../../../src/api/operation.ts";
import { backups, restores, storageLocations } from "../../../../src/api/velero.ts";
import { trimmed, trimmedJobs, trimmedOperations, trimmedTargets } from "../../../../src/dispatcher/state/trim.ts";
import { type KubeObject, keyOf } from "../../../../src/kube/metadata.ts";
import type { Resource } from "../../../../src/kube/resource.ts";
import { configMaps, events, namespaces, pods, volumeSnapshotClasses } from "../../../../src/kube/resources.ts";
import { condition } from "../clusterObjects.ts";
import { Cluster } from "../fakeCluster.ts";
import { backupOperation } from "../sampleOperation.ts";

const outputs = { warnings: ["x".repeat(1000)] };
const history = [{ attempt: 1, phase: "Failed" }];
const junk = "x".repeat(1024 * 1024);

/** An Operation as the API server may have it: with all that a tenant can add to one. */
function stored(name: string, { spec = {}, ...change }: { spec?: object; status?: object; annotations?: object } = {}) {
  const { metadata, ...operation } = backupOperation({ name });
  return {
    ...operation,
    spec: { ...operation.spec, ...spec },
    ...(change.status && { status: change.status }),
    metadata: {
      ...metadata,
      managedFields: [{ manager: junk }],
      ownerReferences: [{ name: junk }],
      finalizers: [junk],
      labels: { "app.vworkspace.io/cluster-id": "here", [junk]: "x" },
      annotations: { "ops.vworkspace.io/cancel": "true", "tools/notes": junk, ...change.annotations },
    },
  };
}

const read = (raw: object): Operation => trimmedOperations.schema.parse(raw);

describe("of an Operation is kept", () => {
  test("what is decided on, and no more", () => {
    const approvals = { required: true, claim: "vws1.x.y", approvedBy: junk };
    const spec = { parameters: { ttl: "1h", includedResources: ["configmaps"] }, approvals, unknown: junk };
    const operation = read(stored("open", { spec, status: { phase: "Pending", outputs, history } }));
    const { metadata, ...rest } = backupOperation({ name: "open" });
    expect(operation).toEqual({
      ...rest,
      metadata: {
        ...metadata,
        labels: { "app.vworkspace.io/cluster-id": "here" },
        annotations: { "ops.vworkspace.io/cancel": "true" },
      },
      spec: { ...rest.spec, parameters: spec.parameters, approvals: { required: true, claim: "vws1.x.y" } },
      // It may be written again, and what was cut off would be lost.
      status: { phase: "Pending", outputs, history },
    });
  });

  test("of one that failed the whole status, too: it may run again", () => {
    expect(read(stored("lost", { status: { phase: "Failed", outputs, history } })).status).toEqual({
      phase: "Failed",
      outputs,
      history,
    });
  });

  test("of one that succeeded, that it did", () => {
    const degraded = condition("Degraded", "True", "PartialFailure");
    const status = {
      phase: "Succeeded",
      finishedAt: "2026-11-22T10:00:00Z",
      conditions: [degraded],
      runner: { attempt: 2, jobName: "done-0123456789", jobUIDs: ["job-1"] },
    };
    const words = {
      conditions: [condition("Succeeded", "True", "VeleroBackupCompleted", junk), { ...degraded, message: junk }],
      logsRef: { apiVersion: "batch/v1", kind: "Job", namespace: "vworkspace-system", name: junk },
    };
    const done = read(
      stored("done", { spec: { parameters: { ttl: "1h" } }, status: { ...status, ...words, outputs, history } }),
    );
    expect(done.status).toEqual(status);
    expect(done.spec).toEqual(backupOperation().spec);
    expect(isVeleroOperation(done)).toBe(true);
  });

  test("of somebody else's, that it is there, whatever its shape", () => {
    const theirs = { engine: "helm", parameters: { [junk]: junk }, approvals: "odd" };
    const { metadata, apiVersion, kind } = backupOperation({ name: "theirs" });
    const raw = { ...stored("theirs", { spec: theirs }), status: { phase: "NewToUs", outputs: { junk } } };
    expect(read(raw)).toEqual({ apiVersion, kind, metadata });
  });

  test("a rerun token of any length as what it is recorded as", () => {
    const cluster = new Cluster();
    const operation = cluster.add({ annotations: { "ops.vworkspace.io/rerun": junk } });
    const asked = (one: Operation) => {
      cluster.operations.set(keyOf(one), one);
      if (!isVeleroOperation(one)) throw new Error("the Operation is not kept as one of ours");
      cluster.setStatus(one, { phase: "Failed", conditions: [] });
      const { action } = cluster.decide(one);
      return action?.kind === "writeStatus" ? action.status.observedRerun : undefined;
    };
    const whole = asked(operation);
    expect(whole).toMatch(/^sha256:/);
    expect(asked(read(operation))).toBe(whole);
  });
});

describe("parameters that can never be right take no room, and the same is said of them", () => {
  test.each<[string, Record<string, unknown>]>([
    ["a megabyte for a name", { storageLocation: junk }],
    ["a megabyte as the name of a parameter", { [junk]: true }],
    ["a hundred thousand empty lists", { hooks: Array.from({ length: 100_000 }, () => []) }],
    ["a hundred thousand resources", { includedResources: Array.from({ length: 100_000 }, (_, at) => `r${at}`) }],
    ["a hundred thousand parameters", Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`p${at}`, at]))],
  ])("%s", (_, parameters) => {
    const cluster = new Cluster();
    cluster.target("org-a");
    const operation = cluster.add({ parameters });
    const said = cluster.status(cluster.settle(operation));
    expect(said).toMatchObject({ phase: "Failed", reason: "ValidationFailed" });

    const small = read(operation);
    expect(sizeOf(small)).toBeLessThan(4096);
    cluster.operations.set(keyOf(small), small);
    if (!isVeleroOperation(small)) throw new Error("the Operation is not kept as one of ours");
    expect(cluster.current(small).status).toBeUndefined();
    expect(cluster.status(cluster.settle(small))).toEqual(said);
  });
});

describe("of a kind that others write, junk takes no room", () => {
  const metadata = { name: "a", namespace: "b", uid: "u", resourceVersion: "1", managedFields: [{ manager: junk }] };
  const tenants = { ...metadata, annotations: { x: junk, "ops.vworkspace.io/backup": junk }, labels: { [junk]: "" } };
  const admins = { ...metadata, annotations: { x: junk } };
  const condition = { type: "Ready", status: "True", reason: junk, message: junk };

  test.each<[string, Resource, object]>([
    [
      "ApplicationInstances",
      trimmedTargets,
      {
        metadata: tenants,
        spec: { values: junk, release: { namespace: { junk }, values: junk } },
        status: { conditions: [{ type: "Other", message: junk }, condition], junk },
      },
    ],
    ["Jobs", trimmedJobs, { metadata: admins, spec: { template: { spec: { volumes: junk } } }, status: { junk } }],
    [
      "pods",
      trimmed(pods),
      { metadata: admins, spec: { junk }, status: { containerStatuses: [{ name: "x", image: junk }] } },
    ],
    ["Events", trimmed(events), { metadata: admins, source: junk }],
    ["ConfigMaps", trimmed(configMaps), { metadata: admins, binaryData: junk }],
    ["locations", trimmed(storageLocations), { metadata: admins, spec: { config: { junk } } }],
    ["Backups", trimmed(backups), { metadata: admins, spec: { hooks: junk }, status: { junk } }],
    ["Restores", trimmed(restores), { metadata: admins, spec: { hooks: junk }, status: { junk } }],
    ["classes", trimmed(volumeSnapshotClasses), { metadata: admins, driver: "d", parameters: { junk } }],
    ["namespaces", trimmed(namespaces), { metadata: admins, spec: junk }],
  ])("%s", (_, { schema, kind }, raw) => {
    const object: KubeObject = schema.parse({ apiVersion: "v1", kind, ...raw });
    expect(sizeOf(object)).toBeLessThan(4096);
  });
});

test("one that has succeeded is never written again, whatever its conditions say", () => {
  const cluster = new Cluster();
  const operation = cluster.add({ annotations: { "ops.vworkspace.io/rerun": "again" } });
  const { conditions = [] } = cluster.status(cluster.settle(operation));
  const refused = { status: "True", reason: "RerunRefused", message: "" } as const;
  const blocked = { type: "Blocked", ...refused, lastTransitionTime: "2026-11-22T09:00:00Z" };
  cluster.setStatus(operation, { phase: "Succeeded", conditions: [...conditions, blocked] });
  cluster.annotate(operation, { "ops.vworkspace.io/rerun": undefined });
  expect(cluster.decide(operation)).toEqual({});
});

function sizeOf(object: object): number {
  return JSON.stringify(object).length;
}
