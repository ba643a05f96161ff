import { describe, expect, it } from "vitest";
import type { FakeVelero, FakeVeleroHandle } from "../fakeVelero.ts";
import type { Files } from "../objectStore.ts";
import { restore } from "../veleroObjects.ts";
import { outputsWithFiles } from "./outputsOf.ts";

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
    const { outputs, made } = await outputsWithFiles(object, files);
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
    const { outputs } = await outputsWithFiles(object, { "/RestoreResourceList": { "v1/ConfigMap": skipped } });
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
    const { outputs, made } = await outputsWithFiles(object, files);
    expect(outputs.skippedVolumes).toEqual(["org-a/data (its claim existed before)"]);
    expect(kindsOf({ made })).toEqual(["RestoreResourceList r1", "BackupVolumeInfos b1", "RestoreVolumeInfo r1"]);
  });

  it("ask for no volumes where the backup has data of none", async () => {
    const object = restore({ phase: "Completed" });
    const list = { "v1/PersistentVolumeClaim": ["org-a/data(created)"] };
    const { outputs, made } = await outputsWithFiles(object, {
      "/RestoreResourceList": list,
      "/BackupVolumeInfos": [],
    });
    expect(outputs.missing).toBeUndefined();
    expect(kindsOf({ made })).toEqual(["RestoreResourceList r1", "BackupVolumeInfos b1"]);
  });

  it.each<[string, Files, FakeVelero, string]>([
    ["the list is not there", {}, {}, "the object store has no such file (404)"],
    [
      "an older Velero has no such list",
      {},
      { unknownKinds: ["RestoreResourceList"] },
      "this version of Velero has no RestoreResourceList",
    ],
    [
      "a Velero does not say what became of each",
      { "/RestoreResourceList": { "v1/ConfigMap": ["org-a/cm(created)", "org-a/other"] } },
      {},
      "this version of Velero reports the items in an unknown form",
    ],
  ])("say so when %s", async (_, files, velero, why) => {
    const { outputs } = await outputsWithFiles(restore({ phase: "Completed" }), files, velero);
    expect(outputs.missing).toEqual([`what was created, updated, skipped: ${why}`]);
    expect(outputs.restoreCreatedCount).toBeUndefined();
  });

  it("say what is missing of volumes on a Velero that does not tell", async () => {
    const files = {
      "/RestoreResourceList": { "v1/PersistentVolumeClaim": ["org-a/data(created)"] },
      "/BackupVolumeInfos": [{ backupMethod: "PodVolumeBackup", pvcNamespace: "org-a", pvcName: "data" }],
    };
    const velero = { unknownKinds: ["RestoreVolumeInfo"] };
    const { outputs } = await outputsWithFiles(restore({ phase: "Completed" }), files, velero);
    expect(outputs.missing).toEqual(["skippedVolumes: this version of Velero has no RestoreVolumeInfo"]);
    expect(outputs.restoreCreatedCount).toBe("1");
  });
});
