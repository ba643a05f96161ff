import { readFileSync } from "node:fs";
import type { Observed } from "../../../../src/cli/doctor/observe.ts";
import type { Seen } from "../../../../src/cli/seen.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { VERSION } from "../../../../src/version.ts";

const now = new Date("2026-01-10T00:00:00Z");
export const SYSTEM = "vworkspace-system";
export const IMAGE = `ghcr.io/vworkspace-io/operation-runner:${VERSION}`;

export const seen = <T>(value: T): Seen<T> => ({ ok: true, value });

export function object(kind: string, name: string, more: { labels?: Record<string, string>; at?: string } = {}) {
  const { labels, at = "2026-01-09T00:00:00Z" } = more;
  const metadata = { name, uid: `uid-${name}`, resourceVersion: "1", creationTimestamp: at, ...(labels && { labels }) };
  return { apiVersion: "v1", kind, metadata };
}

export const crd = (name: string, version = "v1") => ({
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
export const named = policyNames.map((name) => `${name}.ops.vworkspace.io`);
export const binding = (name: string, action = "Deny") => ({
  ...object("ValidatingAdmissionPolicyBinding", name),
  spec: { validationActions: [action] },
});

export const templates = (change: (text: string, file: string) => string = (text) => text) => ({
  ...object("ConfigMap", "operation-jobs"),
  data: Object.fromEntries(
    ["backup.yaml", "restore.yaml"].map((file) => [file, change(readFileSync(`jobs/${file}`, "utf8"), file)]),
  ),
});

export function deployment(name: string, container: object, availableReplicas = 1) {
  const spec = { template: { spec: { containers: [{ name, ...container }] } } };
  return { ...object("Deployment", name), spec, status: { availableReplicas } };
}

/** A platform on which everything is all right. */
export function healthy(): Observed {
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
