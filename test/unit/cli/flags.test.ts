import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { backupParametersSchema, restoreParametersSchema } from "../../../src/api/parameters.ts";
import { addFlags } from "../../../src/cli/flagOptions.ts";
import { backupFlags, type Flag, flagOf, restoreFlags } from "../../../src/cli/flags.ts";
import { backupParameters, madeName, operationFor, restoreParameters } from "../../../src/cli/requests.ts";

function parsed(flags: readonly Flag[], ...args: string[]): Record<string, unknown> {
  return addFlags(new Command().exitOverride(), flags).parse(args, { from: "user" }).opts();
}

describe("every parameter is a flag", () => {
  test("of a Backup", () => {
    expect(backupFlags.map(({ parameter }) => parameter).sort()).toEqual(
      Object.keys(backupParametersSchema.shape).sort(),
    );
  });

  test("of a Restore, but for what --from and --from-namespace say", () => {
    const flags = [...restoreFlags.map(({ parameter }) => parameter), "backupName", "namespaceMapping"];
    expect(flags.sort()).toEqual(Object.keys(restoreParametersSchema.shape).sort());
  });

  test("by its own name", () => {
    expect(flagOf({ parameter: "csiSnapshotClassName", kind: "text" })).toBe("--csi-snapshot-class-name");
    expect(flagOf({ parameter: "restorePVs", kind: "switch" })).toBe("--restore-pvs");
  });
});

describe("flags as parameters", () => {
  test("what is not given is not asked for", () => {
    expect(backupParameters(parsed(backupFlags))).toEqual({});
  });

  test("all that a Backup takes", () => {
    const args = [
      ...["--storage-location", "s3", "--ttl", "72h", "--included-resources", "cm,deployments.apps"],
      ...["--included-resources=secrets", "--excluded-resources", "pods", "-l", "app=shop", "--no-snapshot-volumes"],
      ...["--snapshot-move-data", "--default-volumes-to-fs-backup", "--csi-snapshot-class-name", "fast"],
      ...["--csi-snapshot-timeout", "5m", "--item-operation-timeout", "1h"],
    ];
    expect(backupParameters(parsed(backupFlags, ...args))).toEqual({
      storageLocation: "s3",
      ttl: "72h",
      includedResources: ["cm", "deployments.apps", "secrets"],
      excludedResources: ["pods"],
      labelSelector: { matchLabels: { app: "shop" } },
      snapshotVolumes: false,
      snapshotMoveData: true,
      defaultVolumesToFsBackup: true,
      csiSnapshotClassName: "fast",
      csiSnapshotTimeout: "5m",
      itemOperationTimeout: "1h",
    });
  });

  test("all that a Restore takes", () => {
    const args = ["--existing-resource-policy", "update", "--no-restore-pvs", "--preserve-node-ports"];
    const source = { from: "operation/daily", fromNamespaces: ["org-a", "org-b"], into: "org-b" };
    expect(restoreParameters(parsed(restoreFlags, ...args), source)).toEqual({
      backupName: "operation/daily",
      namespaceMapping: { "org-a": "org-b" },
      existingResourcePolicy: "update",
      restorePVs: false,
      preserveNodePorts: true,
    });
  });

  test("what is wrong is told by the flag, with the value and what is allowed", () => {
    expect(() => backupParameters(parsed(backupFlags, "--ttl", "5x"))).toThrow(
      '--ttl: "5x" must be a Go duration greater than 0',
    );
    expect(() => backupParameters(parsed(backupFlags, "--included-resources", "*,cm"))).toThrow(
      '--included-resources: ["*","cm"] "*" means all resources',
    );
    const source = { from: "a b", fromNamespaces: ["org-*"], into: "org-b" };
    expect(() => restoreParameters({}, source)).toThrow(
      /--from: "a b" must name a Backup.*--from-namespace.*no wildcards/,
    );
    expect(() =>
      restoreParameters({ existingResourcePolicy: "replace" }, { ...source, from: "b", fromNamespaces: [] }),
    ).toThrow('--existing-resource-policy: "replace" must be "none" or "update"');
  });
});

describe("a name that nobody gave", () => {
  const now = new Date("2026-11-25T22:10:34.567Z");

  test("is the target and the minute", () => {
    expect(madeName("shop", now, { exact: false })).toBe("shop-20261125-2210");
    expect(madeName("shop-restore", now, { exact: true })).toBe("shop-restore-20261125-221034");
  });

  test("fits, however long the target's is", () => {
    const name = madeName(`${"a".repeat(47)}.${"b".repeat(30)}`, now, { exact: true });
    expect(name).toHaveLength(63);
    expect(madeName(`${"a".repeat(45)}-.-.bbbbbbb`, now, { exact: true })).toBe(`${"a".repeat(45)}-20261125-221034`);
  });
});

test("an Operation names its target and asks for an approval where that is wished", () => {
  const wish = { type: "Backup", target: "shop", namespace: "org-a", name: "b1", parameters: {} } as const;
  expect(operationFor({ ...wish, approvalRequired: true })).toEqual({
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name: "b1", namespace: "org-a" },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" },
      type: "Backup",
      engine: "velero",
      approvals: { required: true },
    },
  });
});
