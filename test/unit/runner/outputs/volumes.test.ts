import { describe, expect, it } from "vitest";
import {
  skippedVolumes,
  unsizedSnapshots,
  type VolumeMethods,
  volumeBytes,
  volumeInfosSchema,
} from "../../../../src/runner/outputs/volumes.ts";

const parse = (infos: unknown) => volumeInfosSchema.parse(infos);

describe("the bytes of all volumes", () => {
  it.each([
    ["nothing", [], 0],
    ["Go's nothing", null, 0],
    ["a CSI snapshot", [{ backupMethod: "CSISnapshot", csiSnapshotInfo: { size: 5 } }], 5],
    [
      "a CSI snapshot whose data was moved, once",
      [
        {
          backupMethod: "CSISnapshot",
          snapshotDataMoved: true,
          csiSnapshotInfo: { size: 5 },
          snapshotDataMovementInfo: { size: 3 },
        },
      ],
      3,
    ],
    ["a pod volume", [{ backupMethod: "PodVolumeBackup", pvbInfo: { size: 7 } }], 7],
    ["an empty pod volume: Go leaves a zero out", [{ backupMethod: "PodVolumeBackup", pvbInfo: {} }], 0],
    ["a native snapshot, which tells none", [{ backupMethod: "NativeSnapshot", nativeSnapshotInfo: {} }], 0],
    ["a skipped volume", [{ skipped: true }], 0],
    ["a method of the future", [{ backupMethod: "Teleport" }], 0],
  ])("of %s", (_, infos, bytes) => {
    expect(volumeBytes(parse(infos))).toBe(bytes);
  });
});

describe("snapshots of which Velero tells no size", () => {
  const csi = (size?: number) => ({ backupMethod: "CSISnapshot", skipped: false, csiSnapshotInfo: { size } });

  it.each([
    ["all told", [csi(5), csi(6)], 2, 0],
    ["looked at too early, as Velero 1.18 writes it", [csi(5), csi(0)], 2, 1],
    ["lost from Velero's list", [csi(5)], 2, 1],
    ["a native one", [{ backupMethod: "NativeSnapshot" }], 0, 1],
    ["data moved away, which counts as what was moved", [{ ...csi(), snapshotDataMoved: true }], 0, 0],
    ["none taken", [{ backupMethod: "CSISnapshot", skipped: true }, { backupMethod: "PodVolumeBackup" }], undefined, 0],
  ])("are counted: %s", (_, infos, attempted, unsized) => {
    expect(unsizedSnapshots(parse(infos), attempted)).toBe(unsized);
  });
});

describe("volumes skipped though nobody asked for it", () => {
  // The reasons as Velero 1.18 writes them, pkg/backup and pkg/podvolume.
  const NOT_CSI =
    "csiSnapshot: skipped b/c it's not a CSI volume;volumeSnapshot: no applicable volumesnapshotter found;";
  const FLAG = "volumeSnapshot: not satisfy the criteria for VolumePolicy or the legacy snapshot way;";
  const UNMOUNTED = "podvolume: volume data is declared in pod org-a/p but not mounted by any container, skipping;";

  const OPTED_OUT = "podvolume: opted out due to annotation in pod p;";

  const skipped = (skippedReason: string, methods: VolumeMethods = {}) =>
    skippedVolumes(
      parse([{ skipped: true, pvcName: "data", pvcNamespace: "org-a", pvName: "pv-1", skippedReason }]),
      methods,
    );

  it("are named with Velero's reason", () => {
    expect(skipped(NOT_CSI)).toEqual([
      "org-a/data (csiSnapshot: skipped b/c it's not a CSI volume;volumeSnapshot: no applicable volumesnapshotter found)",
    ]);
  });

  it.each([
    ["any: item has label velero.io/exclude-from-backup=true;"],
    ["any: skipped due to resource policy ;"],
    ["volumeSnapshot: matched action is 'skip' in chosen resource policies;"],
  ])("are not those that somebody excluded: %s", (reason) => {
    expect(skipped(reason)).toEqual([]);
    expect(skipped(reason, { defaultVolumesToFsBackup: true })).toEqual([]);
  });

  it("are not those that an annotation leaves out where all others are copied", () => {
    expect(skipped(NOT_CSI + OPTED_OUT, { defaultVolumesToFsBackup: true })).toEqual([]);
    expect(skipped(FLAG + OPTED_OUT, { defaultVolumesToFsBackup: true, snapshotVolumes: false })).toEqual([]);
  });

  it("are those that a pod mounts and no snapshot could save: Velero says of any pod that it opted out", () => {
    expect(skipped(NOT_CSI + OPTED_OUT)).toHaveLength(1);
    expect(skipped(NOT_CSI + OPTED_OUT, { defaultVolumesToFsBackup: false })).toHaveLength(1);
  });

  it("are none when the Backup asked for no data", () => {
    expect(skipped(FLAG, { snapshotVolumes: false })).toEqual([]);
    expect(skipped(FLAG + OPTED_OUT, { snapshotVolumes: false, defaultVolumesToFsBackup: false })).toEqual([]);
    expect(skipped(NOT_CSI, { snapshotVolumes: true })).toHaveLength(1);
    expect(skipped(NOT_CSI, { snapshotVolumes: null })).toHaveLength(1);
  });

  it("are those that no pod mounts, where the file system of every pod was to be copied", () => {
    expect(skipped(FLAG, { snapshotVolumes: false, defaultVolumesToFsBackup: true })).toEqual([
      "org-a/data (volumeSnapshot: not satisfy the criteria for VolumePolicy or the legacy snapshot way)",
    ]);
  });

  it("are those that the file system backup left out, even with snapshots off", () => {
    expect(skipped(FLAG + UNMOUNTED, { snapshotVolumes: false })).toHaveLength(1);
  });

  it("are told in a stable order, unnamed and unexplained ones too", () => {
    const infos = parse([
      { skipped: true, pvName: "pv-2", skippedReason: "why;" },
      { skipped: false, pvcName: "fine" },
      { skipped: true, pvcName: "a", pvcNamespace: "org-a" },
      { skipped: true },
    ]);
    expect(skippedVolumes(infos, {})).toEqual([
      "an unnamed volume (no reason given)",
      "org-a/a (no reason given)",
      "pv-2 (why)",
    ]);
  });
});
