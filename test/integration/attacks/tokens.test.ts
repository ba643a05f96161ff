import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { DEFAULT_PLATFORM_EXCLUSIONS, platformExclusions } from "../../../src/api/platformExclusions.ts";
import { podVolumeBackups } from "../../../src/api/velero.ts";
import { backupOperation, listObjects } from "../../scenario/operations.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE } from "../../scenario/platform.ts";
import { SharedCluster } from "./sharedCluster.ts";
import { type Json, restoreSpec, velero } from "./veleroObjects.ts";

// Somebody has stolen the token of a service account and uses it with a program of their own. What RBAC alone refuses them is
// everything that ../manifests.test.ts does not list.
let shared: SharedCluster;

beforeAll(async () => {
  shared = await SharedCluster.open();
});
afterAll(() => shared?.close());

/** What the thief is told. */
async function told(account: keyof SharedCluster["accounts"], object: Json): Promise<string> {
  const answer = await shared.create(object, shared.accounts[account]);
  expect(answer.code).not.toBe(0);
  return answer.stderr;
}

describe("the backup runner's token", () => {
  const ownership = "may create and delete only objects labelled";
  const one = "exactly one namespace, by its literal name";
  const fields = "may set only these fields of a Backup";

  test.each<[string, Json, string]>([
    ["a Backup of a glob", velero("Backup", { includedNamespaces: ["org-*"] }), one],
    ["a Backup of everything, unsaid", velero("Backup", {}), one],
    ["a Backup of everything, said", velero("Backup", { includedNamespaces: ["*"] }), one],
    ["a Backup of two namespaces", velero("Backup", { includedNamespaces: ["org-a", "org-b"] }), one],
    [
      "a Backup with a command to run in other people's pods",
      velero("Backup", { includedNamespaces: ["org-a"], hooks: { resources: [] } }),
      fields,
    ],
    [
      "a Backup of cluster-wide resources",
      velero("Backup", { includedNamespaces: ["org-a"], includeClusterResources: true }),
      fields,
    ],
    ["a Backup that is nobody's", velero("Backup", { includedNamespaces: ["org-a"] }, { labels: {} }), ownership],
    [
      "a Backup that the garbage collector would take",
      velero(
        "Backup",
        { includedNamespaces: ["org-a"] },
        { ownerReferences: [{ apiVersion: "v1", kind: "Namespace", name: "org-a", uid: "x" }] },
      ),
      "metadata.ownerReferences: must be empty",
    ],
    [
      "a Backup of the object store's keys",
      velero("Backup", { includedNamespaces: [VELERO_NAMESPACE] }),
      "system namespaces",
    ],
    ["a Backup of the control plane", velero("Backup", { includedNamespaces: ["kube-system"] }), "system namespaces"],
    [
      "the deletion of a backup in nobody's name",
      velero("DeleteBackupRequest", { backupName: "nightly" }, { labels: {} }),
      ownership,
    ],
    [
      "another file than it needs",
      velero("DownloadRequest", { target: { kind: "BackupLog", name: "nightly" } }),
      "this runner may download only",
    ],
    ["a Restore", velero("Restore", restoreSpec), "cannot create resource"],
    ["a Schedule", velero("Schedule", { schedule: "@hourly", template: {} }), "cannot create resource"],
    ["an Operation", { ...backupOperation({ namespace: "org-a", name: "stolen" }) }, "cannot create resource"],
  ])("does not get %s", async (_, object, why) => {
    expect(await told("backupRunner", object)).toContain(why);
  });

  test("does not remove a backup that people made, nor a request of theirs", async () => {
    await shared.velero.make("Backup", "by-hand", { spec: { includedNamespaces: ["org-a"] } });
    const remove = ["delete", "backup/by-hand", "-n", VELERO_NAMESPACE];
    const { stderr } = await shared.cluster.kubectl(remove, { as: shared.accounts.backupRunner });
    expect(stderr).toContain(ownership);
    expect(await shared.velero.created("Backup", "by-hand")).toBeDefined();
  });

  test("cancels volume data, and changes nothing else of it", async () => {
    const metadata = { name: "data", namespace: VELERO_NAMESPACE, labels: { "velero.io/backup-uid": "u" } };
    await shared.client.create(podVolumeBackups, {
      metadata,
      spec: {
        node: "node-1",
        pod: { kind: "Pod", name: "shop", namespace: "org-a" },
        volume: "data",
        backupStorageLocation: "default",
        repoIdentifier: "",
        tags: { backup: "nightly" },
      },
      status: { phase: "InProgress" },
    });
    // kubectl would read it first, which a runner may not.
    const patch = (body: Json) => shared.as("backupRunner").mergePatch(podVolumeBackups, metadata, body);
    for (const body of [
      { spec: { backupStorageLocation: "attackers" } },
      { spec: { cancel: true, volume: "other" } },
      { spec: { cancel: true, tags: null } },
      { spec: { cancel: false } },
      { spec: { cancel: true }, status: { phase: "Completed" } },
      { spec: { cancel: true }, metadata: { labels: { "velero.io/backup-uid": "other" } } },
      { spec: { cancel: true }, metadata: { finalizers: ["example.com/stuck"] } },
    ]) {
      await expect(patch(body), JSON.stringify(body)).rejects.toThrow("may set spec.cancel to true, and change");
    }
    expect(await patch({ spec: { cancel: true } })).toMatchObject({ spec: { cancel: true, node: "node-1" } });
  });
});

describe("the restore runner's token", () => {
  test.each<[string, Json, string]>([
    [
      "a Restore from no Backup",
      velero("Restore", { ...restoreSpec, backupName: "" }),
      "must name the Backup to restore from",
    ],
    [
      "a Restore from whatever a Schedule made last",
      velero("Restore", { ...restoreSpec, scheduleName: "hourly" }),
      "may set only these fields of a Restore",
    ],
    [
      "a Restore of everything",
      velero("Restore", { ...restoreSpec, includedNamespaces: [] }),
      "each by its literal name",
    ],
    [
      "a Restore of a glob",
      velero("Restore", { ...restoreSpec, includedNamespaces: ["org-*"] }),
      "each by its literal name",
    ],
    [
      "a Restore into two namespaces",
      velero("Restore", { ...restoreSpec, includedNamespaces: ["org-a", "org-b"] }),
      "a runner may restore into one namespace only",
    ],
    [
      "a Restore that brings old Operations back",
      velero("Restore", { ...restoreSpec, excludedResources: ["secrets"] }),
      "old Operations would run again",
    ],
    ...DEFAULT_PLATFORM_EXCLUSIONS.map((resource): [string, Json, string] => [
      `a Restore of ${resource}`,
      velero("Restore", {
        ...restoreSpec,
        excludedResources: platformExclusions(DEFAULT_PLATFORM_EXCLUSIONS).filter((each) => each !== resource),
      }),
      `spec.excludedResources: must list ${resource}, which teams may not write`,
    ]),
    [
      "a Restore with a command to run in pods",
      velero("Restore", { ...restoreSpec, hooks: { resources: [] } }),
      "may set only these fields of a Restore",
    ],
    [
      "a Restore into the control plane",
      velero("Restore", { ...restoreSpec, namespaceMapping: { "org-a": "kube-system" } }),
      "may neither back up nor restore these system namespaces: kube-system",
    ],
    [
      "a Restore into the dispatcher's namespace",
      velero("Restore", { ...restoreSpec, namespaceMapping: { "org-a": SYSTEM_NAMESPACE } }),
      "system namespaces",
    ],
    ["a Restore that is nobody's", velero("Restore", restoreSpec, { labels: {} }), "only objects labelled"],
    [
      "the content of a backup",
      velero("DownloadRequest", { target: { kind: "BackupContents", name: "nightly" } }),
      "this runner may download only RestoreResults, RestoreResourceList, RestoreVolumeInfo, BackupVolumeInfos",
    ],
    ["a Backup", velero("Backup", { includedNamespaces: ["org-a"] }), "cannot create resource"],
    ["a backup's deletion", velero("DeleteBackupRequest", { backupName: "nightly" }), "cannot create resource"],
  ])("does not get %s", async (_, object, why) => {
    expect(await told("restoreRunner", object)).toContain(why);
  });

  test("gets what an admin has let in, and no more", async () => {
    const annotate = (value: string) =>
      shared.cluster.kubectl(["annotate", "--overwrite", `namespace/${VELERO_NAMESPACE}`, value]);
    const without = (resource: string) =>
      platformExclusions(DEFAULT_PLATFORM_EXCLUSIONS).filter((each) => each !== resource);
    const tryOut = async (resource: string) => {
      const object = velero("Restore", { ...restoreSpec, excludedResources: without(resource) });
      const create = ["create", "--dry-run=server", "-f", "-"];
      const as = shared.accounts.restoreRunner;
      return (await shared.cluster.kubectl(create, { as, input: JSON.stringify(object) })).stderr;
    };
    await annotate("ops.vworkspace.io/restorable-resources=limitranges, endpoints");
    // The API server takes a changed namespace up a moment later.
    await vi.waitFor(async () => expect(await tryOut("endpoints")).toBe(""), 60_000);
    expect(await tryOut("limitranges")).toBe("");
    expect(await tryOut("resourcequotas")).toContain("spec.excludedResources: must list resourcequotas");
    await annotate("ops.vworkspace.io/restorable-resources-");
    await vi.waitFor(async () => expect(await tryOut("endpoints")).toContain("must list endpoints"), 60_000);
  });

  test("does not remove a Restore that people made", async () => {
    await shared.velero.make("Restore", "by-hand", { spec: { backupName: "b" } });
    const remove = ["delete", "restore/by-hand", "-n", VELERO_NAMESPACE];
    const { stderr } = await shared.cluster.kubectl(remove, { as: shared.accounts.restoreRunner });
    expect(stderr).toContain("only objects labelled");
  });
});

describe("the dispatcher's token", () => {
  const labels = { "ops.vworkspace.io/operation": "u", "ops.vworkspace.io/attempt": "1" };

  /** The Job that the dispatcher would make of the shipped template, changed. */
  async function job(change: { pod?: Json; container?: Json; labels?: Json } = {}): Promise<Json> {
    const { spec, ...template } = parse(await readFile("jobs/backup.yaml", "utf8"));
    const pod = spec.template.spec;
    Object.assign(pod.containers[0], change.container);
    Object.assign(pod, change.pod);
    const metadata = { name: "stolen", namespace: SYSTEM_NAMESPACE, labels: change.labels ?? labels };
    return { ...template, metadata, spec };
  }

  test.each<[string, Parameters<typeof job>[0], string]>([
    ["as itself", { pod: { serviceAccountName: "operation-dispatcher" } }, "must have a runner's service account"],
    ["as any other account", { pod: { serviceAccountName: "default" } }, "must have a runner's service account"],
    [
      "with an image of the thief's",
      { container: { image: "docker.io/thief/operation-runner:0.1.0" } },
      "job-images of namespace vworkspace-system lists; it does not list docker.io/thief/operation-runner:0.1.0",
    ],
    [
      "with an image whose name is part of the right one",
      { container: { image: "vworkspace-io/operation-runner:0.1.0" } },
      "does not list vworkspace-io/operation-runner:0.1.0",
    ],
    [
      "with an image whose name begins with the right one",
      { container: { image: "ghcr.io/vworkspace-io/operation-runner-2:0.1.0" } },
      "does not list ghcr.io/vworkspace-io/operation-runner-2:0.1.0",
    ],
    [
      "with an image below the right one",
      { container: { image: "ghcr.io/vworkspace-io/operation-runner/x:0.1.0" } },
      "does not list ghcr.io/vworkspace-io/operation-runner/x:0.1.0",
    ],
    [
      "with a second container",
      { pod: { initContainers: [{ name: "x", image: "docker.io/thief/x" }] } },
      "does not list docker.io/thief/x",
    ],
    ["that no Operation asked for", { labels: {} }, "labelled with their Operation and attempt"],
  ])("makes no Job %s", async (_, change, why) => {
    expect(await told("dispatcher", await job(change))).toContain(why);
  });

  test("makes no privileged pod: the namespace allows none", async () => {
    const privileged = await job({ container: { securityContext: { privileged: true } } });
    expect(await shared.create(privileged, shared.accounts.dispatcher)).toMatchObject({ code: 0 });
    const events = ["events", "-n", SYSTEM_NAMESPACE, "--field-selector=reason=FailedCreate"];
    await vi.waitFor(async () => expect(await listObjects(shared.cluster, events)).not.toEqual([]), 60_000);
    const [event] = await listObjects(shared.cluster, events);
    expect(event?.message).toContain('violates PodSecurity "restricted');
    expect(await listObjects(shared.cluster, ["pods", "-n", SYSTEM_NAMESPACE, "-l", "job-name=stolen"])).toEqual([]);
  });

  test("does not remove a Job that an admin made, of whatever image", async () => {
    const made = await job({ labels: {}, container: { image: "docker.io/admins/tool:1" } });
    const byHand = { ...made, metadata: { name: "by-hand", namespace: SYSTEM_NAMESPACE } };
    expect(await shared.create(byHand, shared.cluster.kubeconfig)).toMatchObject({ code: 0, stderr: "" });
    const remove = ["delete", "job/by-hand", "-n", SYSTEM_NAMESPACE];
    const { stderr } = await shared.cluster.kubectl(remove, { as: shared.accounts.dispatcher });
    expect(stderr).toContain("labelled with their Operation and attempt");
  });

  test.each<[string, Json]>([
    ["a Backup", velero("Backup", { includedNamespaces: ["org-a"] })],
    ["a Restore", velero("Restore", restoreSpec)],
    ["a backup's deletion", velero("DeleteBackupRequest", { backupName: "nightly" })],
    ["a download", velero("DownloadRequest", { target: { kind: "BackupContents", name: "nightly" } })],
    ["an Operation", { ...backupOperation({ namespace: "org-a", name: "stolen" }) }],
  ])("does not get %s", async (_, object) => {
    expect(await told("dispatcher", object)).toContain("cannot create resource");
  });

  test.each([
    ["the templates", "configmap/operation-jobs", { data: {} }],
    [
      "the images that bind it",
      `namespace/${SYSTEM_NAMESPACE}`,
      { metadata: { annotations: { "ops.vworkspace.io/job-images": "docker.io/thief/x" } } },
    ],
  ])("does not change %s", async (_, object, change) => {
    const patch = ["patch", object, "-n", SYSTEM_NAMESPACE, "--type=merge", "-p", JSON.stringify(change)];
    expect((await shared.cluster.kubectl(patch, { as: shared.accounts.dispatcher })).stderr).toContain("Forbidden");
  });

  test.each([
    "ghcr.io/vworkspace-io/operation-runner:9.9.9",
    `ghcr.io/vworkspace-io/operation-runner@sha256:${"0".repeat(64)}`,
  ])("makes its Jobs of any version of a listed image: %s", async (image) => {
    const made = await job({ container: { image } });
    const named = { ...made, metadata: { name: `of-${image.slice(-5)}`, namespace: SYSTEM_NAMESPACE, labels } };
    expect(await shared.create(named, shared.accounts.dispatcher)).toMatchObject({ code: 0 });
  });
});
