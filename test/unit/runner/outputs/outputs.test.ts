import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { OperationType, VeleroOperation } from "../../../../src/api/operation.ts";
import type { VeleroObject } from "../../../../src/api/velero.ts";
import { DOWNLOAD_LIMITS, type DownloadLimits } from "../../../../src/runner/download/downloadRequest.ts";
import { collectOutputs, knownOutputs } from "../../../../src/runner/outputs/outputs.ts";
import { type FakeVelero, type FakeVeleroHandle, fakeVelero } from "../fakeVelero.ts";
import { afterwards, answersWith, archive, type Files, httpStore, httpsStore } from "../objectStore.ts";
import { backup, OWN_LABELS, restore } from "../veleroObjects.ts";

const LIMITS: DownloadLimits = {
  urlTimeoutMs: 60_000,
  retryTimeMs: 0,
  timeoutMs: 60_000,
  maxBytes: 100_000,
  maxUnpackedBytes: 1_000_000,
};
/** What is said to anybody in place of the API server's words. */
const LOGGED = "could not be read; the log of the runner's Job says why";
const DEFAULT = { bucket: "velero" };

function operation(type: OperationType): VeleroOperation {
  return {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name: "b1", namespace: "org-a", uid: "op-uid", resourceVersion: "1", creationTimestamp: "" },
    spec: { type, engine: "velero", targetRef: { apiVersion: "v1", kind: "ApplicationInstance", name: "shop" } },
  };
}

async function outputsOf(object: VeleroObject, velero: FakeVelero, limits: Partial<DownloadLimits> = {}) {
  const handle = await fakeVelero({ objectStorage: DEFAULT, ...velero });
  const type = object.kind === "Restore" ? "Restore" : "Backup";
  const outputs = await collectOutputs(handle.context, operation(type), object, { ...LIMITS, ...limits });
  expect(JSON.stringify([outputs, handle.lines])).not.toContain("s3cr3t");
  return { outputs, ...handle };
}

async function withFiles(object: VeleroObject, files: Files, velero: FakeVelero = {}, limits = LIMITS) {
  const { url } = await httpStore(files);
  return await outputsOf(object, { storeUrl: url, ...velero }, limits);
}

const progress = { itemsBackedUp: 412, totalItems: 412 };
const completed = backup({ phase: "Completed", progress });
const RESULTS = {
  warnings: { velero: ["w2", "w1"], cluster: ["c"], namespaces: { "org-b": ["b"], "org-a": [" message: a", "a2"] } },
  errors: { namespaces: { "org-a": ["broken"] }, velero: ["torn"] },
};
const VOLUMES = [
  { backupMethod: "CSISnapshot", pvcName: "data", pvcNamespace: "org-a", csiSnapshotInfo: { size: 1000 } },
  { backupMethod: "PodVolumeBackup", pvbInfo: { size: 200 } },
];

describe("the outputs of a Backup", () => {
  it("count items, archive and volumes", async () => {
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": VOLUMES };
    const { outputs, requests, made } = await withFiles(completed, files);
    expect(outputs).toEqual({
      backupName: "b1",
      storageLocation: "default",
      backupItemCount: "412",
      backupSizeBytes: "1224",
      warningCount: "0",
      errorCount: "0",
      warnings: [],
    });
    expect(made.map(({ spec }) => spec.target)).toEqual([
      { kind: "BackupContents", name: "b1" },
      { kind: "BackupVolumeInfos", name: "b1" },
    ]);
    for (const { metadata } of made) {
      expect(metadata.name).toMatch(/^b1-[0-9a-f-]{36}$/);
      expect(metadata.labels).toEqual(OWN_LABELS);
    }
    expect([...requests.keys()], "requests left behind").toEqual([]);
  });

  it("list warnings, and errors first when it partially failed", async () => {
    const object = backup({ phase: "PartiallyFailed", progress, warnings: 6, errors: 2 });
    const files = { "/BackupResults": RESULTS, "/BackupContents": archive(1), "/BackupVolumeInfos": [] };
    expect((await withFiles(object, files)).outputs).toMatchObject({
      warningCount: "6",
      errorCount: "2",
      warnings: [
        "error: velero: torn",
        "error: org-a: broken",
        "velero: w2",
        "velero: w1",
        "cluster: c",
        "org-a: message: a",
        "org-a: a2",
        "org-b: b",
      ],
    });
  });

  it("are read one large file after the other", async () => {
    const object = backup({ phase: "PartiallyFailed", warnings: 6, errors: 2 });
    let askedFor: string[] | undefined;
    const results: RequestListener = (_, response) => {
      askedFor = velero.made.map(({ spec }) => spec.target.kind);
      response.end(gzipSync(JSON.stringify(RESULTS)));
    };
    const files = { "/BackupResults": results, "/BackupContents": archive(1), "/BackupVolumeInfos": [] };
    const { url } = await httpStore(files);
    const velero = await fakeVelero({ objectStorage: DEFAULT, storeUrl: url });
    const outputs = await collectOutputs(velero.context, operation("Backup"), object, LIMITS);
    expect(outputs.missing).toBeUndefined();
    expect(askedFor).toEqual(["BackupResults"]);
  });

  it("say that Velero counted errors which it did not list", async () => {
    const object = backup({ phase: "PartiallyFailed", errors: 3 });
    const files = { "/BackupResults": RESULTS, "/BackupContents": archive(1), "/BackupVolumeInfos": [] };
    expect((await withFiles(object, files)).outputs.missing).toEqual([
      "errors: Velero counted 3 and listed 2: velero backup describe b1 --details, velero backup logs b1",
    ]);
  });

  it("say of how many snapshots Velero tells no size", async () => {
    const object = backup({ phase: "Completed", progress, csiVolumeSnapshotsAttempted: 2 });
    const early = { backupMethod: "CSISnapshot", csiSnapshotInfo: { size: 0 } };
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": [...VOLUMES, early] };
    expect((await withFiles(object, files)).outputs).toMatchObject({
      backupSizeBytes: "1224",
      missing: ["backupSizeBytes: Velero tells no size of 1 snapshot"],
    });
  });

  it("name volumes that were skipped though nobody asked for it", async () => {
    const skipped = [
      {
        skipped: true,
        pvcName: "data",
        pvcNamespace: "org-a",
        skippedReason: "csiSnapshot: skipped b/c it's not a CSI volume;",
      },
    ];
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": skipped };
    expect((await withFiles(completed, files)).outputs.skippedVolumes).toEqual([
      "org-a/data (csiSnapshot: skipped b/c it's not a CSI volume)",
    ]);
  });

  it("name a volume that no pod mounts, where file systems were to be copied and no snapshots taken", async () => {
    const spec = { storageLocation: "default", snapshotVolumes: false, defaultVolumesToFsBackup: true };
    const reason = "volumeSnapshot: not satisfy the criteria for VolumePolicy or the legacy snapshot way";
    const skipped = [{ skipped: true, pvcName: "data", pvcNamespace: "org-a", skippedReason: `${reason};` }];
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": skipped };
    const { outputs } = await withFiles({ ...completed, spec }, files);
    expect(outputs.skippedVolumes).toEqual([`org-a/data (${reason})`]);
  });

  it("ask for no file of a failed one: under its name may lie an older backup's", async () => {
    const object = backup({ phase: "Failed", failureReason: "backup already exists in object storage", warnings: 1 });
    const { outputs, made } = await withFiles(object, { "/BackupResults": RESULTS });
    expect(outputs).toEqual({ backupName: "b1", storageLocation: "default", warningCount: "1", errorCount: "0" });
    expect(made).toEqual([]);
  });

  it("trust the authority of their location", async () => {
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": [] };
    const { url, ca } = await httpsStore(files);
    const caCert = Buffer.from(ca).toString("base64");
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage: { ...DEFAULT, caCert } });
    expect(outputs.backupSizeBytes).toBe("24");
    expect(outputs.missing).toBeUndefined();
  });

  it("say how to help when the authority lies in a Secret", async () => {
    const { url } = await httpsStore({});
    const objectStorage = { ...DEFAULT, caCertRef: { name: "ca", key: "ca.crt" } };
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage, movements: {} });
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toMatch(
      /^backupSizeBytes: size of the archive: the certificate of .* cannot be verified \(.*\); the location's caCertRef names a Secret that the runner may not read: mount that CA and name it in NODE_EXTRA_CA_CERTS$/,
    );
  });

  it("verify the store's certificate though the location tells Velero not to, and say how to help", async () => {
    const { url } = await httpsStore({ "/BackupContents": archive(24), "/BackupVolumeInfos": [] });
    const config = { insecureSkipTLSVerify: "true" };
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage: DEFAULT, config, movements: {} });
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toMatch(
      /cannot be verified \(.*\); the location's config.insecureSkipTLSVerify is for Velero alone, the runner trusts nobody unseen: set spec.objectStorage.caCert to the store's CA$/,
    );
  });
});

describe("files that are not what Velero wrote", () => {
  /** As a store keeps it that took the framing of an upload for its content. */
  const framed = (content: Buffer) =>
    Buffer.concat([Buffer.from(`${content.length.toString(16)};chunk-signature=0\r\n`), content]);

  it.each<[string, Files, string]>([
    [
      "an archive that does not begin as one",
      { "/BackupContents": archive(24, 0, framed(gzipSync("")).subarray(0, 2)), "/BackupVolumeInfos": [] },
      "BackupContents: the file is not gzip",
    ],
    [
      "an empty archive",
      { "/BackupContents": answersWith(416), "/BackupVolumeInfos": [] },
      "BackupContents: the file is empty",
    ],
    [
      "volume infos that are not gzip",
      {
        "/BackupContents": archive(24),
        "/BackupVolumeInfos": (_, response) => response.end(framed(gzipSync("[]"))),
      },
      "BackupVolumeInfos: the file is not gzip",
    ],
    [
      "volume infos that are not JSON",
      { "/BackupContents": archive(24), "/BackupVolumeInfos": (_, response) => response.end(gzipSync("no JSON")) },
      "BackupVolumeInfos: the file is not JSON",
    ],
  ])("are named: %s", async (_, files, said) => {
    const { outputs } = await withFiles(completed, files, { movements: {} });
    expect(outputs.unreadableFiles).toEqual([said]);
    expect(outputs.missing).toBeUndefined();
  });
});

describe("an object store in trouble", () => {
  it.each<[string, RequestListener]>([
    ["answers 503 SlowDown", answersWith(503, "<Error><Code>SlowDown</Code></Error>")],
    ["breaks the connection", (request) => request.socket.destroy()],
  ])("that %s once is asked again", async (_, trouble) => {
    const files = { "/BackupContents": afterwards([trouble], archive(24)), "/BackupVolumeInfos": [] };
    const { outputs, made } = await withFiles(completed, files, {}, { ...LIMITS, retryTimeMs: 60_000 });
    expect(outputs.backupSizeBytes).toBe("24");
    expect(outputs.missing).toBeUndefined();
    expect(made, "one signed URL for each file").toHaveLength(2);
  });

  it("is asked no longer than its limit", async () => {
    const trouble = answersWith(503, "<Error><Code>SlowDown</Code></Error>");
    const files = { "/BackupContents": trouble, "/BackupVolumeInfos": [] };
    const { outputs } = await withFiles(completed, files, {}, { ...LIMITS, retryTimeMs: 300 });
    expect(outputs.missing).toEqual(["backupSizeBytes: size of the archive: the object store answered 503 SlowDown"]);
  });
});

describe("what cannot be had is said, and fails nothing:", () => {
  const both = (why: string) => [
    `backupSizeBytes: size of the archive: ${why}`,
    `skippedVolumes and sizes of snapshots: ${why}`,
  ];

  it("no signed URL", async () => {
    const { outputs, requests } = await outputsOf(completed, { movements: {} }, { urlTimeoutMs: 100 });
    const why = "Velero gave no download URL within 0.1 s: is its server running and the storage location available?";
    expect(outputs.missing).toEqual(both(why));
    expect([...requests.keys()], "requests left behind").toEqual([]);
  });

  it("no file", async () => {
    const { outputs } = await withFiles(completed, {});
    expect(outputs.missing).toEqual(both("the object store has no such file (404)"));
  });

  it("no access", async () => {
    const files = { "/BackupContents": answersWith(403), "/BackupVolumeInfos": answersWith(403) };
    expect((await withFiles(completed, files)).outputs.missing).toEqual(both("the object store answered 403"));
  });

  it("files larger than the runner's memory can bear", async () => {
    const object = backup({ phase: "PartiallyFailed", warnings: 1, errors: 0 });
    const large = { warnings: { velero: ["w".repeat(7 * 1024 * 1024)] } };
    const files = { "/BackupResults": large, "/BackupContents": archive(24), "/BackupVolumeInfos": [] };
    const { outputs } = await withFiles(object, files, {}, DOWNLOAD_LIMITS);
    expect(outputs.backupSizeBytes).toBe("24");
    expect(outputs.missing).toEqual(["warnings: the file unpacks to more than 6291456 bytes"]);
  });

  it("a server that does not deliver", async () => {
    const files = { "/BackupContents": () => undefined, "/BackupVolumeInfos": () => undefined };
    const { url } = await httpStore(files);
    const { outputs } = await outputsOf(completed, { storeUrl: url }, { timeoutMs: 100 });
    expect(outputs.missing).toEqual(both(`${new URL(url).host} did not deliver within 0.1 s`));
  });

  it.each<[string, RequestListener | object]>([
    ["other JSON", { not: "a list" }],
    ["an error message of the store", { Code: "Weird" }],
  ])("a file with %s", async (_, file) => {
    const { outputs } = await withFiles(completed, { "/BackupContents": archive(24), "/BackupVolumeInfos": file });
    expect(outputs.missing).toEqual([
      "skippedVolumes and sizes of snapshots: BackupVolumeInfos is not what Velero documents",
    ]);
    expect(outputs.unreadableFiles).toBeUndefined();
  });

  it("a policy that refuses downloads is no old Velero", async () => {
    const { outputs } = await outputsOf(completed, { refusesDownloads: true, movements: {} });
    expect(outputs.missing).toEqual(both(LOGGED));
  });

  it("the location itself", async () => {
    const { url } = await httpStore({ "/BackupContents": archive(24), "/BackupVolumeInfos": [] });
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage: undefined });
    expect(outputs).toMatchObject({ backupSizeBytes: "24", storageLocation: "default" });
    expect(outputs.missing).toEqual([`storage location: ${LOGGED}`]);
  });

  it("volume infos, on an older Velero: what was copied is summed up from its progress", async () => {
    const movements = {
      podvolumebackups: [{ totalBytes: 100, bytesDone: 100 }, {}],
      datauploads: [{ totalBytes: 23 }],
    };
    const velero = { unknownKinds: ["BackupVolumeInfos"], movements };
    const { outputs, selectors } = await withFiles(completed, { "/BackupContents": archive(1000) }, velero);
    expect(outputs.backupSizeBytes).toBe("1123");
    expect(outputs.missing).toEqual(["skippedVolumes and sizes of snapshots: this Velero knows no BackupVolumeInfos"]);
    expect(selectors).toEqual({
      podvolumebackups: "velero.io/backup-uid=own-uid",
      datauploads: "velero.io/backup-uid=own-uid",
    });
  });

  it("volume infos and the right to see what was copied", async () => {
    const velero: FakeVelero = { unknownKinds: ["BackupVolumeInfos"], movements: { podvolumebackups: "forbidden" } };
    const { outputs, lines } = await withFiles(completed, { "/BackupContents": archive(1000) }, velero);
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toBe(`backupSizeBytes: sizes of the volumes: ${LOGGED}`);
    expect(JSON.stringify(lines)).toContain("list podvolumebackups");
  });

  it("but the end of the process is no such thing", async () => {
    const stop = new AbortController();
    const { url } = await httpStore({ "/BackupContents": () => stop.abort(new Error("SIGTERM")) });
    const { context } = await fakeVelero({ storeUrl: url, objectStorage: DEFAULT }, stop.signal);
    await expect(collectOutputs(context, operation("Backup"), completed, LIMITS)).rejects.toThrow("SIGTERM");
  });
});

describe("the outputs of a Restore", () => {
  const LIST = {
    "v1/ConfigMap": ["org-b/cm(created)", "org-b/same(skipped)", "org-b/other(failed)"],
    "v1/ServiceAccount": ["org-b/default(updated)"],
    "v1/Pod": ["org-b/p(created)"],
  };
  const kindsOf = ({ made }: Pick<FakeVeleroHandle, "made">) =>
    made.map(({ spec: { target } }) => `${target.kind} ${target.name}`);

  it("count items by what became of them, list warnings and name the location of its Backup", async () => {
    const object = restore({ phase: "Completed", progress: { itemsRestored: 5, totalItems: 5 }, warnings: 1 });
    const files = {
      "/RestoreResults": { warnings: { namespaces: { "org-myteam": ["could not restore"] } } },
      "/RestoreResourceList": LIST,
    };
    const { outputs, made } = await withFiles(object, files);
    expect(outputs).toEqual({
      restoreName: "r1",
      backupName: "b1",
      storageLocation: "default",
      restoreItemCount: "5",
      restoreCreatedCount: "2",
      restoreUpdatedCount: "1",
      restoreSkippedCount: "1",
      restoreFailedCount: "1",
      updatedItems: ["v1/ServiceAccount org-b/default"],
      skippedItems: ["v1/ConfigMap org-b/same"],
      failedItems: ["v1/ConfigMap org-b/other"],
      warningCount: "1",
      errorCount: "0",
      warnings: ["org-myteam: could not restore"],
    });
    expect(kindsOf({ made })).toEqual(["RestoreResults r1", "RestoreResourceList r1"]);
  });

  it("name no more items than a status can bear", async () => {
    const skipped = Array.from({ length: 5000 }, (_, i) => `org-b/cm-${i}(skipped)`);
    const object = restore({ phase: "Completed" });
    const { outputs } = await withFiles(object, { "/RestoreResourceList": { "v1/ConfigMap": skipped } });
    expect(outputs.restoreSkippedCount).toBe("5000");
    expect(JSON.stringify(outputs.skippedItems).length).toBeLessThan(17 * 1024);
    expect(outputs.skippedItems?.at(-1)).toMatch(/^\d+ more left out: velero restore describe r1 --details/);
  });

  it("name the volumes that it left out, by what the backup has and what was filled", async () => {
    const object = restore({ phase: "Completed" });
    const list = { "v1/PersistentVolumeClaim": ["org-a/data(skipped)", "org-a/logs(created)"] };
    const copied = { backupMethod: "PodVolumeBackup", pvcNamespace: "org-a", result: "succeeded" };
    const files = {
      "/RestoreResourceList": list,
      "/BackupVolumeInfos": [
        { ...copied, pvcName: "data" },
        { ...copied, pvcName: "logs" },
      ],
      "/RestoreVolumeInfo": [{ pvcNamespace: "org-a", pvcName: "logs" }],
    };
    const { outputs, made } = await withFiles(object, files);
    expect(outputs.skippedVolumes).toEqual(["org-a/data (its claim was there before)"]);
    expect(kindsOf({ made })).toEqual(["RestoreResourceList r1", "BackupVolumeInfos b1", "RestoreVolumeInfo r1"]);
  });

  it("ask for no volumes where the backup has data of none", async () => {
    const object = restore({ phase: "Completed" });
    const list = { "v1/PersistentVolumeClaim": ["org-a/data(created)"] };
    const { outputs, made } = await withFiles(object, { "/RestoreResourceList": list, "/BackupVolumeInfos": [] });
    expect(outputs.missing).toBeUndefined();
    expect(kindsOf({ made })).toEqual(["RestoreResourceList r1", "BackupVolumeInfos b1"]);
  });

  it.each<[string, Files, FakeVelero, string]>([
    ["the list is not there", {}, {}, "the object store has no such file (404)"],
    [
      "an older Velero has no such list",
      {},
      { unknownKinds: ["RestoreResourceList"] },
      "this Velero knows no RestoreResourceList",
    ],
    [
      "a Velero does not say what became of each",
      { "/RestoreResourceList": { "v1/ConfigMap": ["org-a/cm(created)", "org-a/other"] } },
      {},
      "this Velero does not say it in a way that is known here",
    ],
  ])("say so when %s", async (_, files, velero, why) => {
    const { outputs } = await withFiles(restore({ phase: "Completed" }), files, velero);
    expect(outputs.missing).toEqual([`what was created, updated, skipped: ${why}`]);
    expect(outputs.restoreCreatedCount).toBeUndefined();
  });

  it("say what is missing of volumes on a Velero that does not tell", async () => {
    const files = {
      "/RestoreResourceList": { "v1/PersistentVolumeClaim": ["org-a/data(created)"] },
      "/BackupVolumeInfos": [{ backupMethod: "PodVolumeBackup", pvcNamespace: "org-a", pvcName: "data" }],
    };
    const velero = { unknownKinds: ["RestoreVolumeInfo"] };
    const { outputs } = await withFiles(restore({ phase: "Completed" }), files, velero);
    expect(outputs.missing).toEqual(["skippedVolumes: this Velero knows no RestoreVolumeInfo"]);
    expect(outputs.restoreCreatedCount).toBe("1");
  });
});

describe("what is known as soon as the object exists", () => {
  it("is its name and its location", () => {
    expect(knownOutputs("Backup", completed, [])).toEqual({ backupName: "b1", storageLocation: "default" });
    expect(knownOutputs("Restore", restore(), ["endpoints"])).toEqual({ restoreName: "r1", backupName: "b1" });
    expect(knownOutputs("Backup", { ...completed, spec: {} }, [])).toEqual({ backupName: "b1" });
  });

  it("is what a Restore leaves out because the platform says so, and not what its owner left out", () => {
    const object = { ...restore(), spec: { excludedResources: ["secrets", "endpoints", "limitranges"] } };
    // An older runner made it, when the settings were others.
    const { excludedResources } = knownOutputs("Restore", object, ["resourcequotas", "limitranges", "endpoints"]);
    expect(excludedResources).toEqual(["limitranges", "endpoints"]);
  });
});
