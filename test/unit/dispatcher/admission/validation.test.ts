import { beforeEach, expect, test } from "vitest";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import type { OperationChange } from "../clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
});

const restore = (parameters: Record<string, unknown>): OperationChange => ({ type: "Restore", parameters });

test.each<[string, OperationChange, RegExp]>([
  ["a long name", { name: "n".repeat(64) }, /^metadata\.name: "n+" must have 63 characters at most, has 64$/],
  ["another kind of the group", { targetRef: { kind: "Cluster" } }, /^spec\.targetRef\.kind: "Cluster" must be App/],
  [
    "a group that only begins alike",
    { targetRef: { apiVersion: "apps.vworkspace.io.evil/v1" } },
    /^spec\.targetRef\.apiV/,
  ],
  ["no target name", { targetRef: { name: "" } }, /^spec\.targetRef\.name: "" must be/],
  [
    "a target that is a path",
    { targetRef: { name: "../secrets/x" } },
    /^spec\.targetRef\.name: "\.\.\/secrets\/x" must/,
  ],
  [
    "a wrong value",
    { parameters: { snapshotVolumes: "yes" } },
    /^spec\.parameters\.snapshotVolumes: "yes" must be true or/,
  ],
  ["an unknown parameter", { parameters: { namespace: "org-b" } }, /^spec\.parameters: unknown "namespace"$/],
  ["a negative ttl", { parameters: { ttl: "-1h" } }, /^spec\.parameters\.ttl: "-1h" must be a Go duration/],
  ["no backup to restore", restore({}), /^spec\.parameters\.backupName is missing/],
  [
    "a mapping into another namespace",
    restore({ backupName: "b", namespaceMapping: { "org-a": "org-a", "org-x": "org-b" } }),
    /^spec\.parameters\.namespaceMapping\.org-x: "org-b" must be the Operation's own namespace "org-a"$/,
  ],
  [
    "a wish for what no Restore brings back",
    restore({ backupName: "b", includedResources: ["configmaps", "quota"] }),
    /^spec\.parameters\.includedResources\.1: "quota" must be left out: no Restore may restore resourcequotas on this/,
  ],
])("%s ends it, naming the field, the value and what is allowed", (_, change, message) => {
  const operation = cluster.add(change);
  cluster.step(operation);
  const status = cluster.status(operation);
  expect(status.phase).toBe("Failed");
  expect(conditionsOf(status)).toEqual([
    "Accepted=False/ValidationFailed",
    "Failed=True/ValidationFailed",
    "Running=False/ValidationFailed",
  ]);
  expect(messageOf(status, "Accepted")).toMatch(message);
  expect(cluster.decide(operation)).toEqual({});
});

test("an admin says what a Restore may bring back", () => {
  cluster.settings = settingsSchema.parse({ restore: { excludedResources: ["roles.rbac.authorization.k8s.io"] } });
  const outcome = (includedResources: string[]) => {
    const operation = cluster.add(restore({ backupName: "b", includedResources }));
    cluster.step(operation);
    return conditionsOf(cluster.status(operation))[0];
  };
  expect(outcome(["quota"])).toBe("Accepted=True/TemplateValidated");
  expect(outcome(["role"])).toBe("Accepted=False/ValidationFailed");
});

test("a Restore may map other namespaces onto its own", () => {
  const request = restore({ backupName: "b", namespaceMapping: { "org-x": "org-a" } });
  const operation = cluster.add({ ...request, creationTimestamp: "2026-11-22T12:00:00Z" });
  cluster.step(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
});

test("a snapshot class whose driver Velero cannot be told is refused when it appears", () => {
  const long = cluster.add({ parameters: { csiSnapshotClassName: "long" } });
  cluster.step(long);
  expect(conditionsOf(cluster.status(long))).toContain("Blocked=True/MissingVolumeSnapshotClass");
  cluster.snapshotClass("long", "d".repeat(39));
  cluster.step(long);
  expect(messageOf(cluster.status(long), "Failed")).toMatch(
    /"long" has the driver "d+", whose name has more than the 38/,
  );
  expect(conditionsOf(cluster.status(long))).toContain("Blocked=False/Unblocked");

  const odd = cluster.add({ parameters: { csiSnapshotClassName: "odd" } });
  cluster.snapshotClass("odd", "csi example");
  cluster.step(odd);
  expect(messageOf(cluster.status(odd), "Failed")).toMatch(
    /"csi example", whose name has characters that Velero's annotation does not allow/,
  );
});

test("a location that is for others only is refused, named or by default", () => {
  cluster.settings = settingsSchema.parse({ storageLocations: { gold: ["org-b"], silver: ["org-a", "org-b"] } });
  for (const name of ["gold", "silver", "constructor"]) cluster.location(name);
  const outcome = (parameters: Record<string, unknown>) => {
    const operation = cluster.add({ parameters });
    cluster.step(operation);
    const refused = conditionsOf(cluster.status(operation)).includes("Accepted=False/StorageLocationForbidden");
    return refused ? messageOf(cluster.status(operation), "Accepted") : "admitted";
  };
  expect(outcome({ storageLocation: "gold" })).toBe(
    'spec.parameters.storageLocation: "gold" is not open to namespace org-a; name one that is',
  );
  expect(outcome({ storageLocation: "silver" })).toBe("admitted");
  expect(outcome({ storageLocation: "constructor" })).toBe("admitted");
  expect(outcome({})).toBe("admitted");
  cluster.location("gold", { phase: "Available" }, { default: true });
  expect(outcome({})).toMatch(/missing, and the default "gold" is not open to namespace org-a/);
  cluster.locations.clear();
  cluster.settings = settingsSchema.parse({ storageLocations: { default: ["org-b"] } });
  expect(outcome({})).toMatch(/the default "default" is not open/);
});

const deep = (levels: number): unknown => {
  let value: unknown = "x";
  for (let level = 0; level < levels; level += 1) value = { a: value };
  return value;
};

test.each<[string, OperationChange]>([
  ["a long string", { parameters: { storageLocation: "x".repeat(1_000_000) } }],
  ["a deep object", { parameters: { ttl: deep(1000) } }],
  [
    "keys of the prototype",
    { parameters: JSON.parse('{"__proto__": {"ttl": "1h"}, "constructor": 1, "hasOwnProperty": 2}') },
  ],
  ["line breaks and escapes", { parameters: { "a\r\nb\u001b[31m": "\u202e" } }],
  ["half a surrogate pair", { parameters: { storageLocation: `${"x".repeat(78)}\ud83d\ude00` } }],
  ["a hostile target", { targetRef: { name: "x\u0000\n\u001b[2J".repeat(2000) } }],
  ["thousands of resources", { parameters: { includedResources: new Array(5000).fill("no spaces please") } }],
])("%s: one safe line of a KiB at most", (_, change) => {
  const operation = cluster.add(change);
  cluster.step(operation);
  const message = messageOf(cluster.status(operation), "Failed") ?? "";
  expect(message).not.toBe("");
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
  expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
  expect(cluster.decide(operation)).toEqual({});
});

test.each<[string, Record<string, unknown>, string]>([
  ["Backup", { csiSnapshotTimeout: "10m1s" }, 'csiSnapshotTimeout: "10m1s" must be 10m at most'],
  ["Backup", { itemOperationTimeout: "2562047h" }, 'itemOperationTimeout: "2562047h" must be 4h at most'],
  ["Restore", { backupName: "b", itemOperationTimeout: "241m" }, 'itemOperationTimeout: "241m" must be 4h at most'],
])("a %s does not have Velero wait for longer than the admin lets it: %j", (type, parameters, why) => {
  const operation = cluster.add({ type: type === "Backup" ? "Backup" : "Restore", parameters });
  cluster.settle(operation);
  expect(messageOf(cluster.status(operation), "Failed")).toContain(why);
  cluster.settings = settingsSchema.parse({ limits: { maxCsiSnapshotTimeout: "", maxItemOperationTimeout: "" } });
  const unlimited = cluster.add({ type: type === "Backup" ? "Backup" : "Restore", parameters, namespace: "org-b" });
  expect(conditionsOf(cluster.status(cluster.settle(unlimited)))).toContain("Accepted=True/TemplateValidated");
});
