import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { collectOutputs } from "../../../../src/runner/outputs/outputs.ts";
import { fakeVelero } from "../fakeVelero.ts";
import { archive, httpStore, httpsStore } from "../objectStore.ts";
import { backup, OWN_LABELS } from "../veleroObjects.ts";
import { completed, DEFAULT_LOCATION, LIMITS, operation, outputsOf, outputsWithFiles, progress } from "./outputsOf.ts";

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
    const { outputs, requests, made } = await outputsWithFiles(completed, files);
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
    expect((await outputsWithFiles(object, files)).outputs).toMatchObject({
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
    const velero = await fakeVelero({ objectStorage: DEFAULT_LOCATION, storeUrl: url });
    const outputs = await collectOutputs(velero.context, operation("Backup"), object, LIMITS);
    expect(outputs.missing).toBeUndefined();
    expect(askedFor).toEqual(["BackupResults"]);
  });

  it("say that Velero counted errors which it did not list", async () => {
    const object = backup({ phase: "PartiallyFailed", errors: 3 });
    const files = { "/BackupResults": RESULTS, "/BackupContents": archive(1), "/BackupVolumeInfos": [] };
    expect((await outputsWithFiles(object, files)).outputs.missing).toEqual([
      "errors: Velero counted 3 and listed 2: velero backup describe b1 --details, velero backup logs b1",
    ]);
  });

  it("say of how many snapshots Velero tells no size", async () => {
    const object = backup({ phase: "Completed", progress, csiVolumeSnapshotsAttempted: 2 });
    const early = { backupMethod: "CSISnapshot", csiSnapshotInfo: { size: 0 } };
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": [...VOLUMES, early] };
    expect((await outputsWithFiles(object, files)).outputs).toMatchObject({
      backupSizeBytes: "1224",
      missing: ["backupSizeBytes: Velero reports no size for 1 snapshot"],
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
    expect((await outputsWithFiles(completed, files)).outputs.skippedVolumes).toEqual([
      "org-a/data (csiSnapshot: skipped b/c it's not a CSI volume)",
    ]);
  });

  it("name a volume that no pod mounts, where file systems were to be copied and no snapshots taken", async () => {
    const spec = { storageLocation: "default", snapshotVolumes: false, defaultVolumesToFsBackup: true };
    const reason = "volumeSnapshot: not satisfy the criteria for VolumePolicy or the legacy snapshot way";
    const skipped = [{ skipped: true, pvcName: "data", pvcNamespace: "org-a", skippedReason: `${reason};` }];
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": skipped };
    const { outputs } = await outputsWithFiles({ ...completed, spec }, files);
    expect(outputs.skippedVolumes).toEqual([`org-a/data (${reason})`]);
  });

  it("ask for no file of a failed one: under its name may lie an older backup's", async () => {
    const object = backup({ phase: "Failed", failureReason: "backup already exists in object storage", warnings: 1 });
    const { outputs, made } = await outputsWithFiles(object, { "/BackupResults": RESULTS });
    expect(outputs).toEqual({ backupName: "b1", storageLocation: "default", warningCount: "1", errorCount: "0" });
    expect(made).toEqual([]);
  });

  it("trust the authority of their location", async () => {
    const files = { "/BackupContents": archive(24), "/BackupVolumeInfos": [] };
    const { url, ca } = await httpsStore(files);
    const caCert = Buffer.from(ca).toString("base64");
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage: { ...DEFAULT_LOCATION, caCert } });
    expect(outputs.backupSizeBytes).toBe("24");
    expect(outputs.missing).toBeUndefined();
  });

  it("say how to help when the authority lies in a Secret", async () => {
    const { url } = await httpsStore({});
    const objectStorage = { ...DEFAULT_LOCATION, caCertRef: { name: "ca", key: "ca.crt" } };
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage, movements: {} });
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toMatch(
      /^backupSizeBytes: size of the archive: the certificate of .* cannot be verified \(.*\); the location's caCertRef names a Secret that the runner may not read: mount that CA and name it in NODE_EXTRA_CA_CERTS$/,
    );
  });

  it("verify the store's certificate though the location tells Velero not to, and say how to help", async () => {
    const { url } = await httpsStore({ "/BackupContents": archive(24), "/BackupVolumeInfos": [] });
    const config = { insecureSkipTLSVerify: "true" };
    const { outputs } = await outputsOf(completed, {
      storeUrl: url,
      objectStorage: DEFAULT_LOCATION,
      config,
      movements: {},
    });
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toMatch(
      /cannot be verified \(.*\); the location's config.insecureSkipTLSVerify counts for Velero alone, the runner verifies every certificate: set spec.objectStorage.caCert to the store's CA$/,
    );
  });
});
