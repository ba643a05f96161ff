import { describe, expect, test } from "vitest";
import type { RestoreParameters } from "../../../../src/api/parameters.ts";
import { backupSchema } from "../../../../src/api/velero.ts";
import { checkRestoreScope } from "../../../../src/runner/object/restoreScope.ts";
import { operation } from "../operations.ts";
import { backup } from "../veleroObjects.ts";

const here = { clusterId: "c1" };

interface Source {
  namespaces?: string[] | null;
  phase?: string;
  labels?: Record<string, string>;
}

function source({ namespaces = ["org-a"], phase = "Completed", labels = {} }: Source) {
  return backupSchema.parse({ ...backup({ phase }, { labels }), spec: { includedNamespaces: namespaces } });
}

function check(from: Source | undefined, namespaceMapping?: Record<string, string>, settings: object = here) {
  const parameters: RestoreParameters = {
    backupName: "nightly",
    includedResources: ["*"],
    ...(namespaceMapping && { namespaceMapping }),
  };
  const restore = operation("Restore");
  return checkRestoreScope(restore, parameters, from && source(from), { clusterId: undefined, ...settings });
}

describe("a restore is allowed", () => {
  test.each<[string, Source, Record<string, string> | undefined, string[]]>([
    ["from a backup of its own namespace", {}, undefined, ["org-a"]],
    ["from a partially failed one", { phase: "PartiallyFailed" }, undefined, ["org-a"]],
    ["from this cluster", { labels: { "app.vworkspace.io/cluster-id": "c1" } }, undefined, ["org-a"]],
    ["from another namespace that is mapped", { namespaces: ["org-old"] }, { "org-old": "org-a" }, ["org-old"]],
    ["from both", { namespaces: ["org-a", "org-old"] }, { "org-old": "org-a" }, ["org-a", "org-old"]],
  ])("%s", (_, from, mapping, includedNamespaces) => {
    expect(check(from, mapping)).toEqual({ ok: true, backup: source(from), includedNamespaces });
  });
});

describe("a restore is forbidden, in the words for a backup that does not exist,", () => {
  const absent = check(undefined);

  test.each<[string, Source, Record<string, string> | undefined]>([
    ["of another namespace", { namespaces: ["org-b"] }, undefined],
    ["of its own namespace and another", { namespaces: ["org-a", "org-b"] }, undefined],
    ["of another namespace that is still running", { namespaces: ["org-b"], phase: "InProgress" }, undefined],
    ["of everything", { namespaces: ["*"] }, undefined],
    ["of everything, which Velero also writes as nothing", { namespaces: [] }, undefined],
    ["of everything, written as null", { namespaces: null }, undefined],
    ["of a glob", { namespaces: ["org-*"] }, { "org-b": "org-a" }],
    ["of a glob of one character", { namespaces: ["org-?"] }, { "org-b": "org-a" }],
    ["of another cluster", { labels: { "app.vworkspace.io/cluster-id": "c2" } }, undefined],
    ["of a name that every object has", { namespaces: ["constructor"] }, undefined],
  ])("%s", (_, from, mapping) => {
    expect(check(from, mapping)).toEqual(absent);
  });

  test("of a cluster with a name, in a cluster without one", () => {
    const from = { labels: { "app.vworkspace.io/cluster-id": "c2" } };
    expect(check(from, undefined, { clusterId: undefined })).toEqual(absent);
  });
});

describe("a restore is forbidden and told why", () => {
  test.each(["InProgress", "Failed", "FailedValidation", "FinalizingPartiallyFailed", "Deleting"])(
    "while its own backup is %s",
    (phase) => {
      expect(check({ phase })).toEqual({
        ok: false,
        message: `Backup b1 cannot be restored: it is ${phase}, not Completed or PartiallyFailed`,
      });
    },
  );

  test.each([{ "org-old": "org-b" }, { "org-old": "org-a", "org-a": "org-b" }])(
    "when it would leave by %j",
    (mapping) => {
      const from = { namespaces: ["org-old", "org-a"] };
      expect(check(from, mapping)).toEqual({
        ok: false,
        message: expect.stringContaining("to org-b: everything must end up in org-a"),
      });
    },
  );
});
