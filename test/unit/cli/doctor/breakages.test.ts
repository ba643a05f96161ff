import { expect, test } from "vitest";
import type { Operation } from "../../../../src/api/operation.ts";
import { examine } from "../../../../src/cli/doctor/checks.ts";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import type { Observed } from "../../../../src/cli/doctor/observe.ts";
import { RIGHTS } from "../../../../src/cli/doctor/rights.ts";
import type { Seen } from "../../../../src/cli/seen.ts";
import { operation } from "../../runner/operations.ts";
import { binding, crd, deployment, healthy, IMAGE, named, object, SYSTEM, seen, templates } from "./healthy.ts";

// One thing at a time is broken. What can be broken on a real platform is broken there: test/e2e/doctor.test.ts.

const OURS = {
  "app.vworkspace.io/managed-by": "vworkspace-operator",
  "ops.vworkspace.io/operation": "gone",
};

function waiting(state: Partial<Operation["status"]> | undefined): Observed["operations"] {
  return seen([operation("Backup", state === undefined ? {} : { status: state })]);
}

const isTrouble = ({ level }: Finding) => level === "problem" || level === "warning";
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
  [
    "no dispatcher is available, of which all else comes",
    {
      dispatcher: seen({ ...deployment("dispatcher", { image: IMAGE }, 0), spec: { replicas: 0 } }),
      lease: seen(undefined),
      operations: waiting(undefined),
    },
    "problem",
    /is scaled to 0/,
  ],
  [
    "the settings name a namespace without Velero, of which all else comes",
    {
      velero: seen(undefined),
      locations: seen([]),
      missingRights: seen(RIGHTS.filter(({ where }) => where === "velero")),
    },
    "problem",
    /deployment\/velero.*does not exist/,
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
  ["Velero wants snapshots and there are no CRDs", { snapshotClasses: seen(undefined) }, "problem", /no snapshot CRDs/],
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
    "what a drill has made is left",
    {
      restores: seen([
        object("Restore", "drill-shop-1", { labels: { "ops.vworkspace.io/drill": "u" }, at: "2026-01-08T00:00:00Z" }),
        object("Restore", "drill-shop-2", { labels: { "ops.vworkspace.io/drill": "u" }, at: "2026-01-09T23:00:00Z" }),
      ]),
    },
    "warning",
    /the drill drill-shop-1 was killed before/,
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
  const findings = examine({ ...base, ...broken }, { before: false }).filter(isTrouble);
  expect(findings).toEqual([
    {
      check: expect.any(String),
      level,
      message: expect.stringMatching(message),
      remedy: expect.any(String),
      runbook: expect.stringMatching(/\/docs\/runbook\.md#doctor-\w+$/),
    },
  ]);
});
