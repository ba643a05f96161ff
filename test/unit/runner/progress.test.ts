import { describe, expect, it } from "vitest";
import { progress } from "../../../src/runner/progress.ts";
import { type FakeVelero, fakeVelero } from "./fakeVelero.ts";
import { backup, restore } from "./veleroObjects.ts";

const half = { itemsBackedUp: 10, totalItems: 20 };

async function progressOf(object: Parameters<typeof progress>[1], movements: FakeVelero["movements"] = {}) {
  const { context, selectors } = await fakeVelero({ movements });
  return { told: await progress(context, object), selectors };
}

describe("progress", () => {
  it("is nothing while Velero tells nothing", async () => {
    expect((await progressOf(backup({ phase: "New" }))).told).toBeUndefined();
  });

  it("is in items where nothing else is moved", async () => {
    const { told } = await progressOf(backup({ phase: "InProgress", progress: half }));
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, percent: 50 });
  });

  it("is in bytes too, over all data of a Backup, and the bytes are the percentage", async () => {
    const movements = {
      podvolumebackups: [{ totalBytes: 100, bytesDone: 30 }, {}],
      datauploads: [{ totalBytes: 200 }],
    };
    const { told, selectors } = await progressOf(backup({ phase: "InProgress", progress: half }), movements);
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, bytesCompleted: 30, bytesTotal: 300, percent: 10 });
    expect(selectors).toEqual({
      podvolumebackups: "velero.io/backup-uid=own-uid",
      datauploads: "velero.io/backup-uid=own-uid",
    });
  });

  it("is that of a Restore, from its own data", async () => {
    const object = restore({ phase: "InProgress", progress: { itemsRestored: 1, totalItems: 3 } });
    const movements = { podvolumerestores: [{ totalBytes: 8, bytesDone: 4 }], datadownloads: [] };
    const { told, selectors } = await progressOf(object, movements);
    expect(told).toEqual({ itemsCompleted: 1, itemsTotal: 3, bytesCompleted: 4, bytesTotal: 8, percent: 50 });
    expect(selectors).toEqual({
      podvolumerestores: "velero.io/restore-name=r1",
      datadownloads: "velero.io/restore-name=r1",
    });
  });

  it("goes without bytes where these cannot be read", async () => {
    const movements: FakeVelero["movements"] = { podvolumebackups: "forbidden", datauploads: "forbidden" };
    const { told } = await progressOf(backup({ phase: "InProgress", progress: half }), movements);
    expect(told).toEqual({ itemsCompleted: 10, itemsTotal: 20, percent: 50 });
  });

  it("reads what Go leaves out as zero, and never leaves 0 to 100", async () => {
    const none = await progressOf(backup({ phase: "InProgress", progress: {} }));
    expect(none.told).toEqual({ itemsCompleted: 0, itemsTotal: 0 });
    const more = await progressOf(backup({ phase: "InProgress", progress: { itemsBackedUp: 30, totalItems: 20 } }));
    expect(more.told?.percent).toBe(100);
  });
});
