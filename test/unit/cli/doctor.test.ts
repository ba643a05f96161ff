import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { Operation } from "../../../src/api/operation.ts";
import { examine } from "../../../src/cli/doctor/checks.ts";
import type { Seen } from "../../../src/cli/doctor/finding.ts";
import type { Observed } from "../../../src/cli/doctor/observe.ts";
import { RIGHTS } from "../../../src/cli/doctor/rights.ts";
import { report } from "../../../src/cli/verbs/doctor.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { VERSION } from "../../../src/version.ts";
import { operation } from "../runner/operations.ts";

const now = new Date("2026-01-10T00:00:00Z");
const SYSTEM = "vworkspace-system";
const IMAGE = `ghcr.io/vworkspace-io/operation-runner:${VERSION}`;

const seen = <T>(value: T): Seen<T> => ({ ok: true, value });

function object(kind: string, name: string, more: { labels?: Record<string, string>; at?: string } = {}) {
  const { labels, at = "2026-01-09T00:00:00Z" } = more;
  const metadata = { name, uid: `uid-${name}`, resourceVersion: "1", creationTimestamp: at, ...(labels && { labels }) };
  return { apiVersion: "v1", kind, metadata };
}

const crd = (name: string, version = "v1") => ({
  ...object("CustomResourceDefinition", name),
  spec: { versions: [{ name: version }] },
});

const policyNames = [
  "dispatcher-job",
  "operation-rights",
  "operation-spec",
  "runner-backup",
  "runner-cancel-data",
].concat(
  ["runner-download", "runner-namespaces", "runner-ownership", "runner-restore", "runner-status"],
  ["velero-persistent-volume"],
);
const named = policyNames.map((name) => `${name}.ops.vworkspace.io`);
const binding = (name: string, action = "Deny") => ({
  ...object("ValidatingAdmissionPolicyBinding", name),
  spec: { validationActions: [action] },
});

const templates = (change: (text: string, file: string) => string = (text) => text) => ({
  ...object("ConfigMap", "operation-jobs"),
  data: Object.fromEntries(
    ["backup.yaml", "restore.yaml"].map((file) => [file, change(readFileSync(`jobs/${file}`, "utf8"), file)]),
  ),
});

function deployment(name: string, container: object, availableReplicas = 1) {
  const spec = { template: { spec: { containers: [{ name, ...container }] } } };
  return { ...object("Deployment", name), spec, status: { availableReplicas } };
}

/** A platform on which everything is all right. */
function healthy(): Observed {
  const namespace = object("Namespace", SYSTEM);
  const annotations = { "ops.vworkspace.io/job-images": "ghcr.io/vworkspace-io/operation-runner" };
  return {
    systemNamespace: SYSTEM,
    veleroNamespace: "velero",
    crds: seen([
      crd("operations.ops.vworkspace.io", "v1alpha1"),
      crd("applicationinstances.apps.vworkspace.io", "v1alpha1"),
      crd("backups.velero.io"),
      crd("restores.velero.io"),
    ]),
    policies: seen(named.map((name) => object("ValidatingAdmissionPolicy", name))),
    bindings: seen(named.map((name) => binding(name))),
    namespace: seen({ ...namespace, metadata: { ...namespace.metadata, annotations } }),
    dispatcher: seen(deployment("dispatcher", { image: IMAGE })),
    lease: seen({
      ...object("Lease", "operation-dispatcher"),
      spec: { holderIdentity: "dispatcher-0", renewTime: "2026-01-09T23:59:55Z", leaseDurationSeconds: 15 },
    }),
    settings: seen(settingsSchema.parse({ jobNamespace: SYSTEM })),
    templates: seen(templates()),
    missingRights: seen([]),
    velero: seen(deployment("velero", { image: "velero/velero:v1.18.3", args: ["server", "--features=EnableCSI"] })),
    server: seen({ ...object("ServerStatusRequest", "x"), status: { phase: "Processed", serverVersion: "v1.18.3" } }),
    locations: seen([
      { ...object("BackupStorageLocation", "default"), spec: { default: true }, status: { phase: "Available" } },
    ]),
    snapshotClasses: seen([{ ...object("VolumeSnapshotClass", "fast"), driver: "csi.example.org" }]),
    operations: seen([]),
    jobs: seen([]),
    backups: seen([]),
    restores: seen([]),
    downloadRequests: seen([]),
    clockAheadMs: seen(0),
    now,
  };
}

const OURS = {
  "app.vworkspace.io/managed-by": "vworkspace-operator",
  "ops.vworkspace.io/operation": "gone",
};

function waiting(state: Partial<Operation["status"]> | undefined): Observed["operations"] {
  return seen([operation("Backup", state === undefined ? {} : { status: state })]);
}

describe("doctor", () => {
  test("finds nothing where everything is all right", () => {
    const findings = examine(healthy(), { before: false });
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(findings.length).toBeGreaterThan(10);
    expect(examine(healthy(), { before: true }).every(({ level }) => level === "ok")).toBe(true);
  });

  const without = <T extends { metadata: { name: string } }>(
    all: Seen<readonly T[]>,
    name: string,
  ): Seen<readonly T[]> => (all.ok ? seen(all.value.filter(({ metadata }) => metadata.name !== name)) : all);
  const base = healthy();

  test.each<[string, Partial<Observed>, "problem" | "warning", RegExp]>([
    [
      "a CRD is missing",
      { crds: without(base.crds, "operations.ops.vworkspace.io") },
      "problem",
      /operations.*not installed/,
    ],
    [
      "another version of a CRD is served",
      { crds: seen([crd("operations.ops.vworkspace.io", "v1"), ...(base.crds.ok ? base.crds.value.slice(1) : [])]) },
      "problem",
      /no version v1alpha1, only v1/,
    ],
    [
      "a policy is missing",
      { policies: without(base.policies, "operation-rights.ops.vworkspace.io") },
      "problem",
      /operation-rights.*not installed: Restores/,
    ],
    [
      "a policy is not bound",
      { bindings: without(base.bindings, "runner-backup.ops.vworkspace.io") },
      "problem",
      /runner-backup.*not bound/,
    ],
    [
      "a policy only warns",
      { bindings: seen(named.map((name) => binding(name, name.startsWith("runner-status") ? "Warn" : "Deny"))) },
      "problem",
      /runner-status.*does not deny/,
    ],
    [
      "an account lacks a right",
      { missingRights: seen(RIGHTS.slice(0, 1)) },
      "problem",
      /operation-dispatcher: list operations/,
    ],
    ["there is no dispatcher", { dispatcher: seen(undefined) }, "problem", /does not exist/],
    [
      "the dispatcher does not start",
      { dispatcher: seen(deployment("dispatcher", { image: IMAGE }, 0)) },
      "problem",
      /not available/,
    ],
    [
      "the dispatcher has another version",
      { dispatcher: seen(deployment("dispatcher", { image: "registry.example.org:5000/runner:9.9.9" })) },
      "warning",
      /it is version 9\.9\.9/,
    ],
    ["nobody holds the Lease", { lease: seen(undefined) }, "problem", /nobody holds the Lease/],
    [
      "the Lease is not renewed",
      { lease: seen({ ...object("Lease", "l"), spec: { holderIdentity: "d", renewTime: "2026-01-09T23:00:00Z" } }) },
      "problem",
      /not renewed the Lease for 60m/,
    ],
    [
      "the settings cannot be used",
      { settings: seen("limits.maxConcurrent: must be 1 or more") },
      "problem",
      /maxConcurrent/,
    ],
    [
      "there are no templates",
      {
        templates: seen({
          ...object("ConfigMap", "operation-jobs"),
          data: { "backup.yaml": "a: [", "restore.yaml": templates().data["restore.yaml"] },
        }),
      },
      "problem",
      /backup\.yaml: not valid YAML/,
    ],
    [
      "a template's image may not be used",
      { namespace: seen(object("Namespace", SYSTEM)) },
      "problem",
      /may not make Jobs of ghcr\.io/,
    ],
    [
      "the settings name another Velero than the templates",
      {
        templates: seen(
          templates((text, file) =>
            file === "backup.yaml" ? text.replace(/value: velero$/m, "value: elsewhere") : text,
          ),
        ),
      },
      "warning",
      /VELERO_NAMESPACE is "elsewhere" but the settings say "velero"/,
    ],
    [
      "there is no Velero",
      { velero: seen(undefined), snapshotClasses: seen([]) },
      "problem",
      /deployment\/velero.*does not exist/,
    ],
    ["Velero does not answer", { server: seen(undefined) }, "problem", /does not answer/],
    [
      "Velero is of another time",
      {
        server: seen({
          ...object("ServerStatusRequest", "x"),
          status: { phase: "Processed", serverVersion: "v1.11.0" },
        }),
      },
      "warning",
      /version v1\.11\.0 is not one that is tested/,
    ],
    ["there is no location", { locations: seen([]) }, "problem", /no BackupStorageLocation/],
    [
      "a location is unavailable",
      {
        locations: seen([
          {
            ...object("BackupStorageLocation", "default"),
            spec: { default: true },
            status: { phase: "Unavailable", message: "no such bucket" },
          },
        ]),
      },
      "problem",
      /default is Unavailable: no such bucket/,
    ],
    [
      "a location is read-only",
      {
        locations: seen([
          {
            ...object("BackupStorageLocation", "default"),
            spec: { default: true, accessMode: "ReadOnly" },
            status: { phase: "Available" },
          },
        ]),
      },
      "warning",
      /default is ReadOnly/,
    ],
    [
      "no location is the default",
      { locations: seen([{ ...object("BackupStorageLocation", "s3"), status: { phase: "Available" } }]) },
      "warning",
      /none of s3 is the default/,
    ],
    [
      "Velero wants snapshots and there are no CRDs",
      { snapshotClasses: seen(undefined) },
      "problem",
      /no snapshot CRDs/,
    ],
    ["the clocks differ", { clockAheadMs: seen(-60_000) }, "warning", /60s ahead of the API server's/],
    [
      "Velero works for an Operation that is gone",
      { backups: seen([{ ...object("Backup", "b1", { labels: OURS }), status: { phase: "InProgress" } }]) },
      "warning",
      /backup\.velero\.io\/b1 is unfinished/,
    ],
    [
      "a Backup has the name of an older one",
      {
        backups: seen([
          {
            ...object("Backup", "b1"),
            status: { phase: "Failed", failureReason: "backup already exists in object storage" },
          },
        ]),
      },
      "problem",
      /name of an older backup/,
    ],
    [
      "DownloadRequests are left",
      { downloadRequests: seen([object("DownloadRequest", "d", { labels: OURS })]) },
      "warning",
      /1 DownloadRequests/,
    ],
    [
      "a Job of a deleted Operation is left",
      { jobs: seen([object("Job", "j1", { labels: OURS })]) },
      "warning",
      /1 Jobs of deleted Operations: j1/,
    ],
    [
      "nobody looks at Operations",
      { operations: waiting(undefined) },
      "problem",
      /org-a\/b1: nobody has looked at it for 9d/,
    ],
    [
      "an Operation waits for long",
      {
        operations: waiting({
          phase: "Pending",
          conditions: [
            {
              type: "Accepted",
              status: "False",
              reason: "TargetNotFound",
              message: "no shop",
              lastTransitionTime: "2026-01-09T20:00:00Z",
            },
          ],
        }),
      },
      "warning",
      /Waiting for 4h: TargetNotFound: no shop/,
    ],
  ])("says once that %s, and what to do", (_, broken, level, message) => {
    const findings = examine({ ...base, ...broken }, { before: false }).filter((each) => each.level !== "ok");
    expect(findings).toEqual([
      { check: expect.any(String), level, message: expect.stringMatching(message), remedy: expect.any(String) },
    ]);
  });

  test("skips what may not be seen, and says so", () => {
    const blind = { ok: false, why: "no right to see it" } as const;
    const findings = examine({ ...base, backups: blind, lease: blind }, { before: false });
    expect(findings.filter(({ level }) => level !== "ok").map(({ check, level }) => `${check} ${level}`)).toEqual([
      "lease skipped",
      "leftovers skipped",
    ]);
  });

  test("reports a line for each, with what to do below it, and counts them", () => {
    const findings = examine({ ...base, lease: seen(undefined) }, { before: false });
    const lines = report(findings, (_, text) => text);
    const at = lines.findIndex((line) => line.startsWith("problem"));
    expect(lines[at]).toMatch(/^problem {2}lease +nobody holds the Lease/);
    expect(lines[at + 1]).toMatch(/^ {9}to do: see whether the dispatcher runs/);
    expect(lines.at(-1)).toBe("1 problems, 0 warnings, 12 ok, 0 skipped");
  });
});

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
