import { describe, expect, it } from "vitest";
import {
  leftOutVolumes,
  restoredItems,
  restoredListSchema,
  restoredVolumesSchema,
  type VolumeRequest,
} from "../../../../src/runner/outputs/restored.ts";
import { volumeInfosSchema } from "../../../../src/runner/outputs/volumes.ts";

const items = (list: unknown) => restoredItems(restoredListSchema.parse(list));

describe("the items of a restore", () => {
  it("are told with what became of each", () => {
    const list = {
      "v1/ConfigMap": ["org-a/cm(created)", "org-a/old(skipped)"],
      "v1/Namespace": ["org-a(created)"],
      "apps/v1/Deployment": ["org-a/web(updated)", "org-a/odd(failed)"],
    };
    expect(items(list)).toEqual([
      { kind: "apps/v1/Deployment", name: "org-a/web", result: "updated" },
      { kind: "apps/v1/Deployment", name: "org-a/odd", result: "failed" },
      { kind: "v1/ConfigMap", name: "org-a/cm", result: "created" },
      { kind: "v1/ConfigMap", name: "org-a/old", result: "skipped" },
      { kind: "v1/Namespace", name: "org-a", result: "created" },
    ]);
  });

  it.each([
    ["org-a/cm", "org-a/cm"],
    ["org-a/cm(merged)", "org-a/cm"],
    ["org-a/cm()", "org-a/cm"],
  ])("have no result where Velero reports an unknown one: %s", (entry, name) => {
    expect(items({ "v1/ConfigMap": [entry] })).toEqual([{ kind: "v1/ConfigMap", name, result: undefined }]);
  });

  it.each([[null], [{}], [{ "v1/ConfigMap": null }]])("are none in what Go writes for nothing: %j", (list) => {
    expect(items(list)).toEqual([]);
  });
});

describe("volumes that a restore left out", () => {
  const copied = { backupMethod: "PodVolumeBackup", pvcNamespace: "org-a", pvcName: "data", result: "succeeded" };
  const snapshot = { ...copied, backupMethod: "CSISnapshot" };
  const native = { ...copied, backupMethod: "NativeSnapshot" };
  const claim = (result: string) => ({ "v1/PersistentVolumeClaim": [`org-b/data(${result})`] });
  const mapped: VolumeRequest = { namespaceMapping: { "org-a": "org-b" }, restorePVs: undefined };

  const leftOut = (list: unknown, volume: object, filled: unknown = [], request: Partial<VolumeRequest> = {}) =>
    leftOutVolumes(items(list), volumeInfosSchema.parse([volume]), restoredVolumesSchema.parse(filled), {
      ...mapped,
      ...request,
    });

  it.each([
    ["skipped", "its claim existed before"],
    ["updated", "its claim existed before"],
    ["failed", "its claim could not be restored"],
    ["created", "no pod that mounts it was restored"],
  ])("are named with why: the claim was %s", (result, why) => {
    expect(leftOut(claim(result), copied)).toEqual([`org-b/data (${why})`]);
  });

  it.each(["created", "skipped"])("are none of those that were filled, though the claim was %s", (result) => {
    const filled = [{ pvcNamespace: "org-b", pvcName: "data", restoreMethod: "PodVolumeRestore" }];
    expect(leftOut(claim(result), copied, filled)).toEqual([]);
    expect(leftOut(claim(result), copied, [{ pvcNamespace: "org-a", pvcName: "data" }])).toHaveLength(1);
  });

  it.each([
    ["that were not to be restored", {}, copied],
    ["of which the backup has no data", claim("created"), { ...copied, skipped: true }],
    ["whose copy had failed", claim("created"), { ...copied, result: "failed" }],
    ["that are no claims", claim("created"), { backupMethod: "PodVolumeBackup" }],
    ["whose native snapshot Velero tells by volume alone", claim("created"), native],
  ])("are none %s", (_, list, volume) => {
    expect(leftOut(list, volume)).toEqual([]);
  });

  it("are none of the snapshots when these were not to be restored", () => {
    expect(leftOut(claim("created"), snapshot, [], { restorePVs: false })).toEqual([]);
    expect(leftOut(claim("created"), copied, [], { restorePVs: false })).toHaveLength(1);
    expect(leftOut(claim("skipped"), native)).toHaveLength(1);
    expect(leftOut(claim("created"), snapshot)).toHaveLength(1);
  });

  it.each(["org-a", "constructor"])("are looked for in the claim's own namespace where none is mapped: %s", (own) => {
    const list = { "v1/PersistentVolumeClaim": [`${own}/data(skipped)`] };
    const volume = { ...copied, pvcNamespace: own };
    expect(leftOut(list, volume, [], { namespaceMapping: {} })).toEqual([`${own}/data (its claim existed before)`]);
  });
});
