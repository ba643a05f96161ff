import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { RIGHTS_POLICY } from "../../../src/api/crossNamespace.ts";
import { backupParametersSchema, restoreParametersSchema } from "../../../src/api/parameters.ts";
import { objectsIn, repository } from "./manifests.ts";

const FOLDER = "manifests/policies";
const policySchema = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    failurePolicy: z.string(),
    paramKind: z.unknown().optional(),
    variables: z.array(z.object({ name: z.string(), expression: z.string() })).default([]),
  }),
});
const bindingSchema = z.object({
  spec: z.object({ policyName: z.string(), validationActions: z.array(z.string()) }),
});

const COMPONENTS = readdirSync(join(repository, "manifests/components")).map((name) => `manifests/components/${name}`);
const policiesIn = (...folders: string[]) =>
  objectsIn(...folders)
    .filter(({ kind }) => kind === "ValidatingAdmissionPolicy")
    .map((each) => policySchema.parse(each));
const policies = policiesIn(FOLDER);
const everyPolicy = policiesIn(FOLDER, ...COMPONENTS);
const bindings = objectsIn(FOLDER, ...COMPONENTS)
  .filter(({ kind }) => kind === "ValidatingAdmissionPolicyBinding")
  .map((each) => bindingSchema.parse(each));

describe("the admission policies", () => {
  test("are all installed, each in a file of its own", () => {
    const kustomization = readFileSync(join(repository, FOLDER, "kustomization.yaml"), "utf8");
    for (const { metadata } of policies) expect(kustomization).toContain(`- ${metadata.name.split(".")[0]}.yaml`);
    expect(kustomization.match(/\.yaml$/gm)).toHaveLength(policies.length);
    expect(readFileSync(join(repository, "manifests/base/kustomization.yaml"), "utf8")).toContain("- ../policies");
  });

  test("bind everybody they match, and refuse where they cannot tell", () => {
    expect(bindings.map(({ spec }) => spec.policyName).sort()).toEqual(
      everyPolicy.map(({ metadata }) => metadata.name).sort(),
    );
    expect(new Set(bindings.flatMap(({ spec }) => spec.validationActions))).toEqual(new Set(["Deny"]));
    expect(new Set(everyPolicy.map(({ spec }) => spec.failurePolicy))).toEqual(new Set(["Fail"]));
  });

  // An API server reads the parameters of a built-in kind only until the last policy with such parameters is removed: after an
  // uninstallation it would find none, and refuse everything, until it is restarted.
  test("take no parameters, so that they work after being installed again", () => {
    expect(everyPolicy.filter(({ spec }) => spec.paramKind !== undefined)).toEqual([]);
  });

  /** The fields of Velero's spec that a policy lets a runner set. */
  function fields(policy: string): string[] {
    const { spec } = policies.find(({ metadata }) => metadata.name.startsWith(`${policy}.`)) ?? {};
    const { expression = "" } = spec?.variables.find(({ name }) => name === "fields") ?? {};
    return [...expression.matchAll(/'(\w+)'/g)].map(([, field = ""]) => field).sort();
  }

  test("let a runner set what a Backup's parameters can ask for, and nothing else", () => {
    // The class is an annotation: Velero's Backup has no field for it.
    const { csiSnapshotClassName: _, ...parameters } = backupParametersSchema.shape;
    expect(fields("runner-backup")).toEqual([...Object.keys(parameters), "includedNamespaces"].sort());
  });

  test("let a runner set what a Restore's parameters can ask for, and nothing else", () => {
    const parameters = Object.keys(restoreParametersSchema.shape);
    expect(fields("runner-restore")).toEqual([...parameters, "includedNamespaces"].sort());
  });

  test("let an Operation have the parameters that its type takes, and no others", () => {
    const { spec } = policies.find(({ metadata }) => metadata.name.startsWith("operation-spec.")) ?? {};
    const { expression = "" } = spec?.variables.find(({ name }) => name === "known") ?? {};
    const [ofBackup = "", ofRestore = ""] = expression.split("== 'Backup'")[1]?.split(":") ?? [];
    const names = (list: string) => [...list.matchAll(/'(\w+)'/g)].map(([, name = ""]) => name).sort();
    expect(names(ofBackup)).toEqual(Object.keys(backupParametersSchema.shape).sort());
    expect(names(ofRestore)).toEqual(Object.keys(restoreParametersSchema.shape).sort());
  });

  test("include the one that the dispatcher looks for", () => {
    expect(policies.map(({ metadata }) => metadata.name)).toContain(RIGHTS_POLICY);
  });
});
