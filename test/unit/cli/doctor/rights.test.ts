import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { RIGHTS } from "../../../../src/cli/doctor/rights.ts";

const SYSTEM = "vworkspace-system";

test("asks for exactly the rights that the manifests grant", () => {
  const ruleSchema = z.object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
  });
  const roleSchema = z.object({
    kind: z.string(),
    metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
  });
  const documents = ["rbac-dispatcher.yaml", "rbac-runner.yaml"]
    .flatMap((file) => parseAllDocuments(readFileSync(`manifests/base/${file}`, "utf8")))
    .map((document) => document.toJS());
  const granted = documents.flatMap((document) => {
    const { kind, metadata } = roleSchema.parse(document);
    if (!kind.endsWith("Role")) return [];
    const where = { [SYSTEM]: "system", velero: "velero" }[metadata.namespace ?? ""] ?? "cluster";
    // Both runners have the ClusterRole operation-runner.
    const accounts =
      metadata.name === "operation-runner" ? ["operation-backup-runner", "operation-restore-runner"] : [metadata.name];
    const rules = z.array(ruleSchema).parse(document.rules);
    return rules.flatMap(({ apiGroups, resources, verbs, resourceNames = [""] }) =>
      accounts.flatMap((account) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            verbs.flatMap((verb) =>
              resourceNames.map((name) => [account, where, group, resource, verb, name].join(" ")),
            ),
          ),
        ),
      ),
    );
  });
  const asked = RIGHTS.map(({ account, where, group, resource, verb, name = "" }) =>
    [account, where, group, resource, verb, name].join(" "),
  );
  expect(asked.sort()).toEqual(granted.sort());
});
