import { describe, expect, test } from "vitest";
import { type Asked, fatesOf, type HeldKind, previewLines } from "../../../src/cli/preview.ts";

const kinds: HeldKind[] = [
  { kind: "apps/v1/Deployment", resource: "deployments.apps", names: ["shop"], present: new Set(["shop", "other"]) },
  { kind: "example.org/v1/Gone", resource: undefined, names: ["x"], present: undefined },
  {
    kind: "ops.vworkspace.io/v1alpha1/Operation",
    resource: "operations.ops.vworkspace.io",
    names: ["b1"],
    present: new Set(),
  },
  { kind: "v1/ConfigMap", resource: "configmaps", names: ["a", "b", "c"], present: new Set(["a"]) },
  { kind: "v1/Event", resource: "events", names: ["e"], present: new Set() },
  { kind: "v1/ResourceQuota", resource: "resourcequotas", names: ["q"], present: new Set() },
  { kind: "v1/Secret", resource: "secrets", names: ["s"], present: undefined },
];

function becomes(asked: Asked = {}) {
  return Object.fromEntries(
    fatesOf({ kinds, leftOut: undefined }, asked).map(({ kind, becomes: what }) => [kind.split("/").at(-1), what]),
  );
}

describe("what becomes of what a backup holds", () => {
  test("what is there is kept, the rest is created, and the platform's exclusions hold", () => {
    expect(becomes()).toEqual({
      Deployment: "1 kept as it is",
      Gone: "not known here: left out",
      Operation: "left out by the platform",
      ConfigMap: "2 created, 1 kept as it is",
      Event: "left out by Velero",
      ResourceQuota: "left out by the platform",
      Secret: "created, where it is not there",
    });
  });

  test("with the policy update what is there is updated", () => {
    expect(becomes({ existingResourcePolicy: "update" })).toMatchObject({ ConfigMap: "2 created, 1 updated" });
  });

  test("only what was asked for, in whatever spelling Velero takes", () => {
    expect(becomes({ includedResources: ["ConfigMap", "deployment.apps"] })).toMatchObject({
      ConfigMap: "2 created, 1 kept as it is",
      Deployment: "1 kept as it is",
      Secret: "not asked for",
    });
    expect(becomes({ excludedResources: ["secrets"] })).toMatchObject({ Secret: "not asked for" });
  });
});

describe("a preview", () => {
  const base = {
    operation: "back",
    namespace: "org-a",
    source: "operation/daily",
    hindrances: [],
    leftOut: undefined,
    kinds,
    unseen: [],
  };

  test("is a table by kind, and says what was not looked at", () => {
    const lines = previewLines(base, { labelSelector: { matchLabels: { a: "b" } } });
    expect(lines[0]).toBe("Restore back into namespace org-a from operation/daily. Nothing was made.");
    expect(lines).toContain("Nothing would hold it back, as far as can be seen.");
    expect(lines.some((line) => /^v1\/ConfigMap +3 +1 +2 created, 1 kept as it is$/.test(line))).toBe(true);
    expect(lines.some((line) => /^v1\/Secret +1 +<unknown> /.test(line))).toBe(true);
    expect(lines.join("\n")).toContain("note: labels are not looked at");
  });

  test("tells what would hold it back, and who may see the rest", () => {
    const lines = previewLines(
      { ...base, kinds: undefined, hindrances: ["ConflictingOperation: x"], unseen: ["why"] },
      {},
    );
    expect(lines).toContain("Would be held back or refused:");
    expect(lines).toContain("  ConflictingOperation: x");
    expect(lines.at(-1)).toBe("note: why");
    expect(lines.join("\n")).not.toContain("KIND");
  });
});
