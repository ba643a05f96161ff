import { describe, expect, it } from "vitest";
import type { Backup, VeleroObject } from "../../../../src/api/velero.ts";
import { advanced, ProgressReader } from "../../../../src/runner/follow/progress.ts";
import { FakeClock } from "../../kube/fakeClock.ts";
import { type FakeVelero, fakeVelero } from "../fakeVelero.ts";
import { backup, restore } from "../veleroObjects.ts";

const half = { itemsBackedUp: 10, totalItems: 20 };
const all = { itemsBackedUp: 20, totalItems: 20 };

async function progressOf(object: VeleroObject, movements: FakeVelero["movements"] = {}) {
  const { context, selectors } = await fakeVelero({ movements });
  return { told: await new ProgressReader(context).read(object), selectors };
}

/** A Backup that asks for the data of volumes. */
function moving(status: Backup["status"], spec: object = { snapshotMoveData: true }): VeleroObject {
  return { ...backup(status), spec: { storageLocation: "default", ...spec } };
}

describe("progress", () => {
  it("is nothing while Velero tells nothing", async () => {
    const { told, selectors } = await progressOf(backup({ phase: "New" }));
    expect(told).toBeUndefined();
    expect(selectors, "lists of what cannot be there").toEqual({});
  });

  it("is in items where nothing else is moved", async () => {
    const { told } = await progressOf(backup({ phase: "InProgress", progress: half }));
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, percent: 50 });
  });

  it("is in bytes too, over all data of a Backup, which weighs the most", async () => {
    const movements = { podvolumebackups: [{ totalBytes: 100, bytesDone: 30 }], datauploads: [{ totalBytes: 200 }] };
    const { told, selectors } = await progressOf(moving({ phase: "InProgress", progress: half }), movements);
    // A tenth for half of the items, nine tenths for a tenth of the bytes.
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, bytesCompleted: 30, bytesTotal: 300, percent: 14 });
    expect(selectors).toEqual({
      podvolumebackups: "velero.io/backup-uid=own-uid",
      datauploads: "velero.io/backup-uid=own-uid",
    });
  });

  it("is that of a Restore, from its own data", async () => {
    const object = restore({ phase: "InProgress", progress: { itemsRestored: 1, totalItems: 2 } });
    const movements = { podvolumerestores: [{ totalBytes: 8, bytesDone: 4 }], datadownloads: [] };
    const { told, selectors } = await progressOf(object, movements);
    expect(told).toEqual({ itemsCompleted: 1, itemsTotal: 2, bytesCompleted: 4, bytesTotal: 8, percent: 50 });
    expect(selectors).toEqual({
      podvolumerestores: "velero.io/restore-name=r1",
      datadownloads: "velero.io/restore-name=r1",
    });
  });

  it("asks for uploads of snapshots only where the Backup does", async () => {
    const { selectors } = await progressOf(backup({ phase: "InProgress", progress: half }));
    expect(Object.keys(selectors)).toEqual(["podvolumebackups"]);
  });

  it("counts data that does not tell its size yet like the other, and data that is done as done", async () => {
    const upload = (status: object) => ({ datauploads: [{ totalBytes: 100, bytesDone: 100 }, status] });
    const object = moving({ phase: "WaitingForPluginOperations", progress: all });
    expect((await progressOf(object, upload({}))).told?.percent).toBe(55);
    expect((await progressOf(object, upload({ phase: "Completed" }))).told?.percent).toBe(99);
  });

  it.each([
    [
      "an upload has most of its way to go",
      { snapshotMoveData: true },
      { datauploads: [{ totalBytes: 100, bytesDone: 10 }] },
      19,
    ],
    ["data is still to come", { snapshotMoveData: true }, {}, 10],
    ["files are still to come", { defaultVolumesToFsBackup: true }, {}, 10],
    ["Velero still finalizes", {}, {}, 99],
  ])("is not at its end with the last item, while %s", async (_, spec, movements, percent) => {
    const object = moving({ phase: "InProgress", progress: all }, spec);
    expect((await progressOf(object, movements)).told?.percent).toBe(percent);
  });

  it.each([
    ["Completed", 100],
    ["PartiallyFailed", 100],
    ["Failed", 99],
    ["Finalizing", 99],
  ])("is %s: %d", async (phase, percent) => {
    expect((await progressOf(backup({ phase, progress: all }))).told?.percent).toBe(percent);
  });

  it("goes without bytes where these cannot be read", async () => {
    const movements: FakeVelero["movements"] = { podvolumebackups: "forbidden", datauploads: "forbidden" };
    const { told } = await progressOf(backup({ phase: "InProgress", progress: half }), movements);
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, percent: 50 });
  });

  it("reads what Go leaves out as zero, and never leaves 0 to 99", async () => {
    const none = await progressOf(backup({ phase: "InProgress", progress: {} }));
    expect(none.told).toEqual({ itemsCompleted: 0, itemsTotal: 0 });
    const more = await progressOf(backup({ phase: "InProgress", progress: { itemsBackedUp: 30, totalItems: 20 } }));
    expect(more.told?.percent).toBe(99);
  });

  it("lists data no more often than every ten seconds", async () => {
    const { context, selectors } = await fakeVelero({ movements: { podvolumebackups: [] } });
    const clock = new FakeClock();
    const reader = new ProgressReader({ ...context, clock });
    const listed = async (progress: { itemsBackedUp?: number; totalItems: number }) => {
      delete selectors.podvolumebackups;
      await reader.read(backup({ phase: "InProgress", progress }));
      return selectors.podvolumebackups !== undefined;
    };
    expect(await listed({ totalItems: 20 })).toBe(true);
    expect(await listed(half)).toBe(false);
    await clock.advance(9_999);
    expect(await listed(half)).toBe(false);
    await clock.advance(1);
    expect(await listed(half)).toBe(true);
  });
});

describe("the percentage of an attempt", () => {
  it.each([
    ["goes on", 10, 20, 20],
    ["stays when data is found late", 90, 14, 90],
    ["stays when nothing is known any more", 40, undefined, 40],
    ["begins with what is known", undefined, 5, 5],
    ["is below 100 whatever an earlier run wrote", 100, 50, 99],
    ["reaches its end", 99, 100, 100],
  ])("%s", (_, last, next, percent) => {
    const before = last === undefined ? undefined : { percent: last };
    expect(advanced(before, next === undefined ? {} : { percent: next })).toEqual({ percent });
  });

  it("is not made up", () => {
    expect(advanced(undefined, { itemsCompleted: 0, itemsTotal: 0 })).toEqual({ itemsCompleted: 0, itemsTotal: 0 });
  });
});
