import { describe, expect, test } from "vitest";
import { z } from "zod";
import { objectsIn } from "./manifests.ts";

const ruleSchema = z.object({
  apiGroups: z.array(z.string()),
  resources: z.array(z.string()),
  resourceNames: z.array(z.string()).optional(),
  verbs: z.array(z.string()),
});
const named = z.looseObject({ name: z.string(), namespace: z.string().optional() });
const roleSchema = z.object({ kind: z.string(), metadata: named, rules: z.array(ruleSchema) });
const bindingSchema = z.object({
  metadata: named,
  roleRef: z.object({ kind: z.string(), name: z.string() }),
  subjects: z.array(z.object({ kind: z.literal("ServiceAccount"), name: z.string(), namespace: z.string() })),
});

const objects = objectsIn("manifests/base");
const roles = objects.filter(({ kind }) => /^(Cluster)?Role$/.test(kind)).map((each) => roleSchema.parse(each));
const bindings = objects.filter(({ kind }) => kind.endsWith("RoleBinding")).map((each) => bindingSchema.parse(each));

/** What a service account may do, one "where: verb group/resource" a right; resource names in brackets. */
function rightsOf(account: string): string[] {
  return bindings
    .filter(({ subjects }) => subjects.some(({ name }) => name === account))
    .flatMap(({ metadata, roleRef }) => {
      const role = roles.find(
        ({ kind, metadata: { name, namespace } }) =>
          kind === roleRef.kind && name === roleRef.name && namespace === metadata.namespace,
      );
      if (role === undefined)
        throw new Error(`${metadata.name} binds ${roleRef.kind} ${roleRef.name}, which is not there`);
      return role.rules.flatMap((rule) => rights(rule, metadata.namespace ?? "cluster"));
    });
}

function rights(rule: z.infer<typeof ruleSchema>, where: string): string[] {
  const only = rule.resourceNames === undefined ? "" : ` [${rule.resourceNames.join(", ")}]`;
  return rule.apiGroups.flatMap((group) =>
    rule.resources.flatMap((resource) => rule.verbs.map((verb) => `${where}: ${verb} ${group}/${resource}${only}`)),
  );
}

const accounts = ["operation-dispatcher", "operation-backup-runner", "operation-restore-runner"];
const writes = /: (create|update|patch|delete|deletecollection) /;

describe("the shipped rights", () => {
  test("name what they allow: no wildcard, and nothing that leads to more rights", () => {
    const all = roles.flatMap(({ metadata, rules }) => rules.flatMap((rule) => rights(rule, metadata.name)));
    expect(all.filter((right) => right.includes("*"))).toEqual([]);
    expect(
      all.filter((right) => /\/(secrets|serviceaccounts|roles|clusterroles)|(escalate|bind|impersonate) /.test(right)),
    ).toEqual([]);
    expect(all.filter((right) => / (create|update|patch) \/pods/.test(right))).toEqual([]);
  });

  test("leave every role bound, or aggregated into Kubernetes' own", () => {
    const bound = new Set(
      bindings.map(({ roleRef, metadata }) => `${metadata.namespace}/${roleRef.kind}/${roleRef.name}`),
    );
    const unbound = roles.filter(({ kind, metadata }) => !bound.has(`${metadata.namespace}/${kind}/${metadata.name}`));
    expect(unbound.map(({ metadata }) => metadata.name)).toEqual([
      "operation-view",
      "operation-edit",
      "operation-schedule",
    ]);
  });

  test.each(accounts)("let %s write nothing of an Operation but its status", (account) => {
    expect(rightsOf(account).filter((right) => writes.test(right) && right.includes("ops.vworkspace.io/"))).toEqual([
      "cluster: update ops.vworkspace.io/operations/status",
    ]);
  });

  test("let the dispatcher write nothing in Velero's namespace", () => {
    expect(
      rightsOf("operation-dispatcher").filter((right) => writes.test(right) && right.startsWith("velero:")),
    ).toEqual([]);
  });

  test.each(["operation-backup-runner", "operation-restore-runner"])(
    "give %s nothing in the namespace it runs in, where it could make Jobs under another account",
    (account) => {
      expect(rightsOf(account).filter((right) => right.startsWith("vworkspace-system:"))).toEqual([]);
    },
  );

  test("let nobody but the backup runner have a backup deleted from the object store", () => {
    const may = accounts.filter((account) =>
      rightsOf(account).includes("velero: create velero.io/deletebackuprequests"),
    );
    expect(may).toEqual(["operation-backup-runner"]);
  });

  test("give each runner the writing of its own kind alone", () => {
    const written = (account: string) =>
      rightsOf(account).filter((right) => writes.test(right) && /velero\.io\/(backups|restores)$/.test(right));
    expect(written("operation-backup-runner")).toEqual([
      "velero: create velero.io/backups",
      "velero: delete velero.io/backups",
    ]);
    expect(written("operation-restore-runner")).toEqual([
      "velero: create velero.io/restores",
      "velero: delete velero.io/restores",
    ]);
  });

  test("let nobody write targets, but for the component that pauses them: it patches, and no more", () => {
    const targets = (right: string) => writes.test(right) && right.includes("apps.vworkspace.io/");
    expect(accounts.flatMap(rightsOf).filter(targets)).toEqual([]);
    const component = objectsIn("manifests/components/pause-target").filter(({ kind }) => kind === "ClusterRole");
    const added = component.map((each) => roleSchema.parse(each)).flatMap(({ rules }) => rules);
    expect(added.flatMap((rule) => rights(rule, "cluster"))).toEqual([
      "cluster: patch apps.vworkspace.io/applicationinstances",
    ]);
  });

  test("are cluster-wide only where what they read or write lies in tenants' namespaces or in none", () => {
    const resources = accounts.flatMap((account) =>
      rightsOf(account)
        .filter((right) => right.startsWith("cluster:"))
        .map((right) => right.replace(/^cluster: \w+ /, "")),
    );
    expect([...new Set(resources)].sort()).toEqual([
      "/events",
      "/namespaces",
      "admissionregistration.k8s.io/validatingadmissionpolicies [operation-rights.ops.vworkspace.io]",
      "admissionregistration.k8s.io/validatingadmissionpolicybindings [operation-rights.ops.vworkspace.io]",
      "apiextensions.k8s.io/customresourcedefinitions",
      "apiextensions.k8s.io/customresourcedefinitions [volumesnapshotclasses.snapshot.storage.k8s.io, applicationinstances.apps.vworkspace.io, operations.ops.vworkspace.io]",
      "apps.vworkspace.io/applicationinstances",
      "ops.vworkspace.io/operations",
      "ops.vworkspace.io/operations/status",
      "snapshot.storage.k8s.io/volumesnapshotclasses",
    ]);
  });
});
