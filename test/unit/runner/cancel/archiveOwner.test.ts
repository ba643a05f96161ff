import { describe, expect, it } from "vitest";
import { systemClock } from "../../../../src/kube/clock.ts";
import { findArchiveOwner, judgeByAge } from "../../../../src/runner/cancel/archiveOwner.ts";
import type { DownloadLimits } from "../../../../src/runner/download/downloadRequest.ts";
import { type FakeVelero, fakeVelero } from "../fakeVelero.ts";
import { answersWith, archive, type Files, httpStore } from "../objectStore.ts";
import { backup } from "../veleroObjects.ts";

const LIMITS: DownloadLimits = {
  urlTimeoutMs: 60_000,
  retryTimeMs: 0,
  timeoutMs: 60_000,
  maxBytes: 1,
  maxUnpackedBytes: 1,
};
const HOUR = 3_600_000;

/** Failed, after a run that began so long ago. */
const failed = (ageMs: number) =>
  backup({ phase: "Failed", startTimestamp: new Date(Date.now() - ageMs).toISOString().replace(/\.\d+Z$/, "Z") });

const error = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

async function verdictOn(files: Files, limits: Partial<DownloadLimits> = {}, storeUrl?: string) {
  const { url } = await httpStore(files);
  const { context } = await fakeVelero({ storeUrl: storeUrl ?? url, objectStorage: {} });
  return await findArchiveOwner(context, failed(HOUR), { ...LIMITS, ...limits });
}

describe("files under the name of a failed backup", () => {
  it.each([
    [
      "are an older backup's when they were there before it began",
      { "/BackupContents": archive(1, 2 * HOUR) },
      "older",
    ],
    ["are its own when they came after it began", { "/BackupContents": archive(1, HOUR / 2) }, "own"],
    ["are its own when there are none", {}, "own"],
    ["are unknown when nobody may look", { "/BackupContents": answersWith(403) }, "unknown"],
    // A 404 that tells nothing of the file must not cost an older backup its own.
    ["are unknown when the bucket is gone", { "/BackupContents": answersWith(404, error("NoSuchBucket")) }, "unknown"],
    [
      "are unknown when somebody else answers",
      { "/BackupContents": answersWith(404, "<h1>Not Found</h1>") },
      "unknown",
    ],
    ["are unknown when the store answers 422", { "/BackupContents": answersWith(422, error("Policy")) }, "unknown"],
  ])("%s", async (_, files, expected) => {
    expect(await verdictOn(files)).toBe(expected);
  });

  it.each([-3 * HOUR, 3 * HOUR])(
    "are an older backup's, however wrong the runner's own clock is: %d ms",
    async (wrongMs) => {
      const { url } = await httpStore({ "/BackupContents": archive(1, 2 * HOUR) });
      const { context } = await fakeVelero({ storeUrl: url, objectStorage: {} });
      const clock = { ...systemClock, now: () => new Date(Date.now() + wrongMs) };
      expect(await findArchiveOwner({ ...context, clock }, failed(HOUR), LIMITS)).toBe("older");
    },
  );

  it("are an older backup's when they are older than the object, whenever Velero says that the run began", () => {
    const early = { creationTimestamp: "2026-01-01T00:30:00Z" };
    const object = backup({ phase: "Failed", startTimestamp: "2026-01-01T00:00:00Z" }, early);
    expect(judgeByAge({ ageMs: HOUR / 2 + 3_000, askedAt: new Date("2026-01-01T01:00:00Z") }, object)).toBe("older");
  });

  it.each<[string, FakeVelero]>([
    ["a policy lets nobody look", { refusesDownloads: true }],
    ["Velero signs no URL for archives", { unknownKinds: ["BackupContents"] }],
  ])("are unknown when %s", async (_, velero) => {
    const { context } = await fakeVelero({ objectStorage: {}, ...velero });
    expect(await findArchiveOwner(context, failed(HOUR), LIMITS)).toBe("unknown");
  });

  it("are unknown when the store cannot be reached", async () => {
    expect(await verdictOn({}, {}, "http://127.0.0.1:1")).toBe("unknown");
  });

  it("are unknown when their age is", () => {
    expect(judgeByAge({ ageMs: undefined, askedAt: new Date() }, failed(HOUR))).toBe("unknown");
  });

  it.each([-9_000, 0, 1_000])("are unknown when the clocks may be to blame, %d ms before the run", (aheadMs) => {
    const askedAt = new Date("2026-01-01T01:00:00Z");
    const began = backup({ phase: "Failed", startTimestamp: "2026-01-01T00:00:00Z" });
    expect(judgeByAge({ ageMs: HOUR + aheadMs, askedAt }, began)).toBe("unknown");
  });

  it("are dated against the object's creation when the run has no start", () => {
    const unstarted = backup({ phase: "Failed" }, { creationTimestamp: "2026-01-01T00:00:00Z" });
    const askedAt = new Date("2026-01-01T01:00:00Z");
    expect(judgeByAge({ ageMs: HOUR - 11_000, askedAt }, unstarted)).toBe("own");
    expect(judgeByAge({ ageMs: HOUR + 3_000, askedAt }, unstarted)).toBe("older");
  });
});
