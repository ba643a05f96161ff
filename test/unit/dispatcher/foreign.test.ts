import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { Label } from "../../../src/api/labels.ts";
import { jobName } from "../../../src/api/names.ts";
import {
  backups,
  dataDownloads,
  dataUploads,
  deleteBackupRequests,
  downloadRequests,
  podVolumeBackups,
  podVolumeRestores,
  restores,
  storageLocations,
  type VeleroObject,
} from "../../../src/api/velero.ts";
import { decideOrphan } from "../../../src/dispatcher/decide.ts";
import { ownersOf } from "../../../src/dispatcher/state/owners.ts";
import { trimmed, trimmedTargets } from "../../../src/dispatcher/state/trim.ts";
import { parseTemplates } from "../../../src/dispatcher/templates/parseTemplates.ts";
import type { KubeObject } from "../../../src/kube/metadata.ts";
import type { Resource } from "../../../src/kube/resource.ts";
import {
  configMaps,
  customResourceDefinitions,
  events,
  type Job,
  jobs,
  namespaces,
  pods,
  volumeSnapshotClasses,
} from "../../../src/kube/resources.ts";
import { malformed } from "../kube/malformed.ts";
import { Cluster } from "./fakeCluster.ts";

// The objects of others exist, whatever is in them.

const condition = {
  type: "Ready",
  status: "True",
  reason: "R",
  message: "m",
  observedGeneration: 3,
  lastTransitionTime: "2026-01-01T00:00:00Z",
};
const metadata = {
  name: "shop",
  namespace: "org-a",
  uid: "u1",
  resourceVersion: "7",
  generation: 3,
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels: { [Label.operation]: "op-1", [Label.attempt]: "1", [Label.operationNamespace]: "org-a" },
  annotations: { "ops.vworkspace.io/backup": "velero" },
};
const container = {
  name: "runner",
  state: {
    running: {},
    waiting: { reason: "r", message: "m" },
    terminated: { exitCode: 1, reason: "r", message: "m" },
  },
  lastState: { terminated: { exitCode: 1 } },
};
const runStatus = {
  phase: "Completed",
  failureReason: "f",
  validationErrors: ["v"],
  warnings: 1,
  errors: 1,
  startTimestamp: "2026-01-01T00:00:00Z",
  progress: { itemsBackedUp: 1, itemsRestored: 1, totalItems: 2, totalBytes: 1, bytesDone: 1 },
};
const scope = { includedNamespaces: ["org-a"], namespaceMapping: { "org-b": "org-a" } };

const samples = {
  target: {
    metadata,
    spec: { release: { namespace: "org-a" } },
    status: { observedGeneration: 3, conditions: [condition] },
  },
  job: {
    metadata,
    spec: {
      suspend: false,
      backoffLimit: 3,
      template: {
        spec: {
          containers: [
            { name: "runner", env: [{ name: "OPERATION_NAMESPACE", value: "a" }, { name: "OPERATION_NAME" }] },
          ],
        },
      },
    },
    status: { conditions: [condition], active: 1, succeeded: 0, failed: 0, terminating: 0 },
  },
  pod: {
    metadata,
    status: {
      phase: "Failed",
      reason: "r",
      message: "m",
      conditions: [condition],
      initContainerStatuses: [container],
      containerStatuses: [container],
    },
  },
  event: {
    metadata,
    message: "m",
    involvedObject: { namespace: "n", name: "j", uid: "u" },
    lastTimestamp: "2026-01-01",
  },
  location: {
    metadata,
    spec: { accessMode: "ReadWrite", default: true, objectStorage: { caCert: "x" } },
    status: { phase: "Available", message: "m" },
  },
  configMap: { metadata, data: { "backup.yaml": "kind: Job", "restore.yaml": "kind: Job" } },
  snapshotClass: { metadata, driver: "d" },
  crd: { metadata, status: { conditions: [condition] } },
  run: {
    metadata,
    spec: { ...scope, backupName: "b", storageLocation: "l", snapshotVolumes: true },
    status: runStatus,
  },
  request: {
    metadata,
    spec: { backupName: "b", cancel: true },
    status: { phase: "Processed", errors: ["e"], downloadURL: "https://x", progress: runStatus.progress },
  },
};

describe("whatever is in an object of others, it is read", () => {
  test.each<[string, Resource, { metadata: object }]>([
    ["ApplicationInstance", applicationInstances, samples.target],
    ["ApplicationInstance, kept", trimmedTargets, samples.target],
    ["Job", jobs, samples.job],
    ["Pod", pods, samples.pod],
    ["Event", events, samples.event],
    ["ConfigMap", configMaps, samples.configMap],
    ["Namespace", namespaces, { metadata }],
    ["VolumeSnapshotClass", volumeSnapshotClasses, samples.snapshotClass],
    ["CustomResourceDefinition", customResourceDefinitions, samples.crd],
    ["Backup", backups, samples.run],
    ["Restore", restores, samples.run],
    ["BackupStorageLocation", storageLocations, samples.location],
    ["DownloadRequest", downloadRequests, samples.request],
    ["DeleteBackupRequest", deleteBackupRequests, samples.request],
    ["DataUpload", dataUploads, samples.request],
    ["DataDownload", dataDownloads, samples.request],
    ["PodVolumeBackup", podVolumeBackups, samples.request],
    ["PodVolumeRestore", podVolumeRestores, samples.request],
  ])("%s", (_, resource, sample) => {
    for (const { schema } of [resource, trimmed(resource)]) {
      fc.assert(
        fc.property(malformed(sample), (raw) => {
          const read = schema.parse({ ...raw, apiVersion: "v1", kind: resource.kind });
          expect(read.metadata).toMatchObject({ name: "shop", uid: "u1", resourceVersion: "7" });
        }),
      );
    }
  });
});

describe("and gets an answer", () => {
  let cluster: Cluster;
  beforeEach(() => {
    cluster = new Cluster();
  });

  const parsed = <T extends KubeObject>({ schema, kind }: Resource<T>, raw: object): T =>
    schema.parse({ ...raw, apiVersion: "v1", kind });

  function reasons(operation: Parameters<Cluster["decide"]>[0]): string[] {
    const { action } = cluster.decide(operation);
    const status = action?.kind === "writeStatus" ? action.status : cluster.status(operation);
    return (status.conditions ?? []).map(({ reason, message }) => `${reason}: ${message}`);
  }

  test("a target is never said not to exist", () => {
    const operation = cluster.add();
    fc.assert(
      fc.property(malformed(samples.target), (raw) => {
        cluster.targets.set("org-a/shop", parsed(trimmedTargets, raw));
        expect(reasons(operation).join()).not.toContain("TargetNotFound");
      }),
    );
  });

  test("a class and a location neither", () => {
    cluster.target("org-a");
    const operation = cluster.add({ parameters: { csiSnapshotClassName: "shop", storageLocation: "shop" } });
    fc.assert(
      fc.property(malformed(samples.snapshotClass), malformed(samples.location), (one, other) => {
        cluster.snapshotClasses.set("shop", parsed(trimmed(volumeSnapshotClasses), one));
        cluster.locations.set("shop", parsed(trimmed(storageLocations), other));
        expect(reasons(operation).join()).not.toMatch(/no VolumeSnapshotClass|does not exist/);
      }),
    );
  });

  test("Jobs, pods and Events of any shape are judged, and a Job whose state cannot be read is not deleted", () => {
    cluster.target("org-a");
    const operation = cluster.settle(cluster.add());
    const { name, uid } = operation.metadata;
    const own = jobName({ name, uid }, 1);
    fc.assert(
      fc.property(malformed(samples.job), malformed(samples.pod), malformed(samples.event), (job, pod, event) => {
        const labels = { [Label.operation]: uid, [Label.attempt]: "1" };
        const { metadata: read, ...rest } = parsed<Job>(trimmed(jobs), job);
        cluster.jobs.set(own, { ...rest, metadata: { ...read, name: own, labels } });
        cluster.pods.splice(0, 1, parsed(trimmed(pods), pod));
        cluster.refusals.splice(0, 1, parsed(trimmed(events), event));
        cluster.decide(operation);
        ownersOf(parsed<Job>(trimmed(jobs), job));
      }),
    );
    for (const status of ["gone", { failed: "two" }, { active: {} }, { terminating: [] }]) {
      const orphan = parsed<Job>(trimmed(jobs), { metadata, status });
      expect(decideOrphan(orphan, { ...cluster.world(), podsOf: () => [], veleroObjectsOf: () => [] })).toBeUndefined();
    }
  });

  test("a ConfigMap of any shape gives templates, or says what is wrong", () => {
    fc.assert(
      fc.property(malformed(samples.configMap), (raw) => {
        for (const state of Object.values(parseTemplates(parsed(trimmed(configMaps), raw)))) {
          expect(state).toMatchObject({ ok: false, problem: expect.stringContaining("ConfigMap operation-jobs") });
        }
      }),
    );
  });

  test("a namespace whose labels cannot be read has none", () => {
    const { labels: _labels, ...bare } = metadata;
    const read = parsed(trimmed(namespaces), { metadata: { ...bare, labels: ["gate"] } });
    expect(read.metadata.labels).toBeUndefined();
  });

  test.each<[string, object, string]>([
    ["no status of Ready", { conditions: [{ type: "Ready" }] }, "is not Ready"],
    ["a status that is no text", { conditions: [{ type: "Ready", status: true }] }, "is not Ready"],
    ["conditions that are no list", { conditions: { Ready: "True" } }, "its status.conditions is not a list"],
    [
      "Ready as of an older generation",
      { conditions: [{ type: "Ready", status: "True", observedGeneration: 2 }] },
      "is being reconciled: it was Ready at generation 2, and its generation is 3 now",
    ],
    [
      "an older generation as a whole",
      { observedGeneration: 1, conditions: [{ type: "Ready", status: "True" }] },
      "is being reconciled: it was Ready at generation 1, and its generation is 3 now",
    ],
  ])("a target with %s is not ready, and it says why", (_, status, why) => {
    const operation = cluster.add();
    cluster.targets.set("org-a/shop", parsed(trimmedTargets, { metadata, status }));
    expect(reasons(operation)).toContainEqual(expect.stringMatching(`^TargetNotReady: .*${why}`));
  });

  test.each<[string, unknown]>([
    ["bare condition", { conditions: [{ type: "Ready", status: "True" }] }],
    ["generation that is the current one", { conditions: [{ type: "Ready", status: "True", observedGeneration: 3 }] }],
    ["malformed neighbour", { conditions: [7, null, { type: 5 }, { type: "Ready", status: "True" }] }],
    ["status that says nothing", {}],
    ["null for its conditions", { conditions: null }],
  ])("a target with a %s is ready", (_, status) => {
    const operation = cluster.add();
    cluster.targets.set("org-a/shop", parsed(trimmedTargets, { metadata, status }));
    expect(reasons(operation).join()).toContain("TemplateValidated");
  });

  test.each([[["org-a"]], [{ name: "org-a" }], [7]])("a release in %j is in no namespace of its own", (namespace) => {
    const operation = cluster.add();
    cluster.targets.set("org-a/shop", parsed(trimmedTargets, { metadata, spec: { release: { namespace } } }));
    expect(reasons(operation).join()).toContain("TargetNamespaceForbidden");
  });
});

test.each([
  [{ phase: 5 }, "unreadable"],
  ["done", "unreadable"],
])("a Backup that says %j is in no phase that anybody acts on", (status, phase) => {
  const read = backups.schema.parse({ apiVersion: "velero.io/v1", kind: "Backup", metadata, status });
  expect((read as VeleroObject).status?.phase).toBe(phase);
});
