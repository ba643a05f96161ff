import { describe, expect, test } from "vitest";
import { isMadeFor, planBackup, planRestore } from "../../../../src/runner/object/plan.ts";
import { operation } from "../operations.ts";

const settings = { veleroNamespace: "velero", clusterId: "c1", restoreExcludedResources: ["resourcequotas"] };
const labels = {
  "app.vworkspace.io/managed-by": "vworkspace-operator",
  "app.vworkspace.io/cluster-id": "c1",
  "app.vworkspace.io/application-instance": "shop",
  "ops.vworkspace.io/operation": "3f0c3b1e-0000-4000-8000-000000000001",
  "ops.vworkspace.io/attempt": "1",
  "ops.vworkspace.io/target": "shop",
};

describe("a Backup", () => {
  test("takes the Operation's namespace and nothing that was not asked for", () => {
    expect(planBackup(operation("Backup"), {}, settings)("b1")).toEqual({
      metadata: { name: "b1", namespace: "velero", labels },
      spec: { includedNamespaces: ["org-a"] },
    });
  });

  test("chooses its VolumeSnapshotClass by the annotation of its driver, for Velero's Backup has no field for it", () => {
    const parameters = { csiSnapshotClassName: "fast", ttl: "72h" };
    const manifest = planBackup(operation("Backup"), parameters, settings, "EBS.csi.aws.com")("b1");
    expect(manifest.metadata.annotations).toEqual({
      "velero.io/csi-volumesnapshot-class_ebs.csi.aws.com": "fast",
    });
    expect(manifest.spec).toEqual({ includedNamespaces: ["org-a"], ttl: "72h" });
  });

  test("of a later attempt says which", () => {
    const later = operation("Backup", { status: { runner: { attempt: 3 } } });
    const manifest = planBackup(later, {}, settings)("b1-x");
    expect(manifest.metadata.labels?.["ops.vworkspace.io/attempt"]).toBe("3");
    expect(isMadeFor(later, manifest.metadata.labels)).toBe(true);
    expect(isMadeFor(operation("Backup"), manifest.metadata.labels)).toBe(false);
  });
});

describe("a Restore", () => {
  test("names its namespaces, and never brings back Operations or what the platform leaves out", () => {
    const parameters = {
      backupName: "nightly",
      includedResources: ["*"],
      excludedResources: ["secrets", "operations.ops.vworkspace.io"],
      namespaceMapping: { "org-old": "org-a" },
    };
    expect(planRestore(operation("Restore"), parameters, settings, ["org-old"])("r1")).toEqual({
      metadata: { name: "r1", namespace: "velero", labels },
      spec: {
        backupName: "nightly",
        includedNamespaces: ["org-old"],
        includedResources: ["*"],
        excludedResources: ["secrets", "operations.ops.vworkspace.io", "resourcequotas"],
        namespaceMapping: { "org-old": "org-a" },
      },
    });
  });

  test.each([
    ["longer than a label may be", `shop-${"x".repeat(80)}`, /^shop-x{52}[0-9a-f]{6}$/],
    ["no label at all", "shop/../x", undefined],
  ])("of a target whose name is %s gets labels that the API server takes", (_, target, expected) => {
    const parameters = { backupName: "nightly", includedResources: ["*"] };
    const { metadata } = planRestore(operation("Restore", { target }), parameters, settings, ["org-a"])("r1");
    const label = metadata.labels?.["ops.vworkspace.io/target"];
    if (expected === undefined) expect(label).toBeUndefined();
    else expect(label).toMatch(expected);
  });
});
