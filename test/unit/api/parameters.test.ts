import { describe, expect, it } from "vitest";
import { backupParametersSchema, parseParameters, restoreParametersSchema } from "../../../src/api/parameters.ts";

const backup = (parameters: unknown) => parseParameters(backupParametersSchema, parameters);
const restore = (parameters: unknown) => parseParameters(restoreParametersSchema, parameters);

describe("parameters of a Backup", () => {
  it("need not be given", () => {
    expect(backup(undefined)).toEqual({ ok: true, value: {} });
  });

  it("are taken as they are when valid", () => {
    const all = {
      storageLocation: "aws-primary",
      snapshotVolumes: true,
      csiSnapshotClassName: "csi-rbd",
      ttl: "720h",
      includedResources: ["*"],
      excludedResources: ["events", "events.events.k8s.io"],
      defaultVolumesToFsBackup: true,
      snapshotMoveData: false,
      labelSelector: {
        matchLabels: { app: "shop", "app.kubernetes.io/part-of": "" },
        matchExpressions: [
          { key: "tier", operator: "In", values: ["web", "db"] },
          { key: "example.org/scratch", operator: "DoesNotExist" },
        ],
      },
      itemOperationTimeout: "4h",
      csiSnapshotTimeout: "10m",
    };
    expect(backup(all)).toEqual({ ok: true, value: all });
  });

  it.each([
    [{ ttl: "-5m" }, 'spec.parameters.ttl: "-5m" must be a Go duration greater than 0, such as "72h" or "1h30m"'],
    [{ ttl: 72 }, 'spec.parameters.ttl: 72 must be a Go duration such as "72h"'],
    [{ snapshotVolumes: "yes" }, 'spec.parameters.snapshotVolumes: "yes" must be true or false'],
    [{ exludedResources: [] }, 'spec.parameters: unknown "exludedResources"'],
    [
      { includedResources: [] },
      'spec.parameters.includedResources: [] must name at least one resource, or "*" for all',
    ],
    [{ includedResources: ["*", "pods"] }, '"*" means all resources and must stand alone'],
    [{ excludedResources: ["*"] }, '"*" would exclude everything'],
    [
      { includedResources: ["Config Maps"] },
      'spec.parameters.includedResources.0: "Config Maps" must be the name of a resource',
    ],
    [
      { storageLocation: "../other" },
      'spec.parameters.storageLocation: "../other" must be the name of a BackupStorageLocation',
    ],
    [{ storageLocation: "" }, "spec.parameters.storageLocation"],
    [{ itemOperationTimeout: "0s" }, 'spec.parameters.itemOperationTimeout: "0s" must be a Go duration greater than 0'],
    [{ csiSnapshotTimeout: 10 }, 'spec.parameters.csiSnapshotTimeout: 10 must be a Go duration such as "72h"'],
    [
      { labelSelector: "app=shop" },
      'spec.parameters.labelSelector: "app=shop" must have matchLabels or matchExpressions',
    ],
    [{ labelSelector: { matchlabels: {} } }, 'spec.parameters.labelSelector: unknown "matchlabels"'],
    [
      { labelSelector: { matchLabels: { "no slash/at/all": "x" } } },
      "spec.parameters.labelSelector.matchLabels.no slash/at/all: must be the key of a label",
    ],
    [
      { labelSelector: { matchLabels: { app: "shop*" } } },
      'spec.parameters.labelSelector.matchLabels.app: "shop*" must be the value of a label',
    ],
    [
      { labelSelector: { matchLabels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, "x"])) } },
      "must name 64 labels at most",
    ],
    [
      { labelSelector: { matchExpressions: [{ key: "app", operator: "in", values: ["shop"] }] } },
      'spec.parameters.labelSelector.matchExpressions.0.operator: "in" must be In, NotIn, Exists or DoesNotExist',
    ],
    [
      { labelSelector: { matchExpressions: [{ key: "app", operator: "In" }] } },
      "spec.parameters.labelSelector.matchExpressions.0.values is missing: must be given for In and NotIn, and for nothing else",
    ],
    [
      { labelSelector: { matchExpressions: [{ key: "app", operator: "Exists", values: ["x"] }] } },
      'spec.parameters.labelSelector.matchExpressions.0.values: ["x"] must be given for In and NotIn, and for nothing else',
    ],
    [{ preserveNodePorts: true }, 'spec.parameters: unknown "preserveNodePorts"'],
    [{ backupName: "b1" }, 'spec.parameters: unknown "backupName"'],
  ])("%j is refused with the field, the value and what is allowed", (parameters, message) => {
    expect(backup(parameters)).toEqual({ ok: false, message: expect.stringContaining(message) });
  });

  it("tells all problems at once", () => {
    const result = backup({ ttl: "x", snapshotMoveData: 1 });
    expect(result).toEqual({ ok: false, message: expect.stringMatching(/ttl.*; .*snapshotMoveData/) });
  });
});

describe("parameters of a Restore", () => {
  it("restore everything by default", () => {
    expect(restore({ backupName: "b1" })).toEqual({ ok: true, value: { backupName: "b1", includedResources: ["*"] } });
  });

  it("are taken as they are when valid", () => {
    const all = {
      backupName: "b1",
      namespaceMapping: { "org-a": "org-b" },
      restorePVs: true,
      existingResourcePolicy: "update",
      includedResources: ["configmaps"],
      excludedResources: ["secrets"],
      labelSelector: { matchLabels: { app: "shop" } },
      preserveNodePorts: true,
      itemOperationTimeout: "4h",
    };
    expect(restore(all)).toEqual({ ok: true, value: all });
  });

  it.each([
    [undefined, "spec.parameters.backupName is missing: must name a Backup"],
    [
      { backupName: "restore/b1" },
      'spec.parameters.backupName: "restore/b1" must name a Backup: "daily", or exactly one by "operation/daily", "operation/org-a/daily" or "backup/daily"',
    ],
    [
      { backupName: "b1", existingResourcePolicy: "replace" },
      'existingResourcePolicy: "replace" must be "none" or "update"',
    ],
    [{ backupName: "b1", namespaceMapping: { "org-*": "org-a" } }, "no wildcards"],
    [
      { backupName: "b1", namespaceMapping: { "org-a": 7 } },
      "spec.parameters.namespaceMapping.org-a: 7 must be the literal name",
    ],
    [{ backupName: "b1", namespaceMapping: ["org-a"] }, "must map names of namespaces"],
  ])("%j is refused with the field, the value and what is allowed", (parameters, message) => {
    expect(restore(parameters)).toEqual({ ok: false, message: expect.stringContaining(message) });
  });
});

describe("hostile parameters", () => {
  it.each([
    { ttl: "9".repeat(1_000_000) },
    { storageLocation: "a\u001b[31m\nb" },
    { storageLocation: "\u202egpj.exe" },
    { includedResources: Array(5000).fill("pods") },
    JSON.parse('{"__proto__": {"ttl": "1h"}, "constructor": 1}'),
    JSON.parse(`{"deep": ${'{"a":'.repeat(200)}1${"}".repeat(200)}}`),
    Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`k\n${n}`, n])),
  ])("are refused in one short printable line", (parameters) => {
    const result = backup(parameters);
    if (result.ok) throw new Error("accepted");
    expect(result.message.length).toBeLessThan(1024);
    expect(result.message).not.toMatch(/\p{Cc}|\p{Cf}/u);
  });
});
