import type { RequestListener } from "node:http";
import { describe, expect, it } from "vitest";
import { DOWNLOAD_LIMITS } from "../../../../src/runner/download/downloadRequest.ts";
import { collectOutputs } from "../../../../src/runner/outputs/outputs.ts";
import { type FakeVelero, fakeVelero } from "../fakeVelero.ts";
import { afterwards, answersWith, archive, httpStore } from "../objectStore.ts";
import { backup } from "../veleroObjects.ts";
import { completed, DEFAULT_LOCATION, LIMITS, operation, outputsOf, outputsWithFiles } from "./outputsOf.ts";

describe("an object store in trouble", () => {
  it.each<[string, RequestListener]>([
    ["answers 503 SlowDown", answersWith(503, "<Error><Code>SlowDown</Code></Error>")],
    ["breaks the connection", (request) => request.socket.destroy()],
  ])("that %s once is asked again", async (_, trouble) => {
    const files = { "/BackupContents": afterwards([trouble], archive(24)), "/BackupVolumeInfos": [] };
    const { outputs, made } = await outputsWithFiles(completed, files, {}, { ...LIMITS, retryTimeMs: 60_000 });
    expect(outputs.backupSizeBytes).toBe("24");
    expect(outputs.missing).toBeUndefined();
    expect(made, "one signed URL for each file").toHaveLength(2);
  });

  it("is asked no longer than its limit", async () => {
    const trouble = answersWith(503, "<Error><Code>SlowDown</Code></Error>");
    const files = { "/BackupContents": trouble, "/BackupVolumeInfos": [] };
    const { outputs } = await outputsWithFiles(completed, files, {}, { ...LIMITS, retryTimeMs: 300 });
    expect(outputs.missing).toEqual(["backupSizeBytes: size of the archive: the object store answered 503 SlowDown"]);
  });
});

/** What is said to anybody in place of the API server's words. */
const LOGGED = "could not be read; the log of the runner's Job says why";

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
    const { outputs } = await outputsWithFiles(completed, {});
    expect(outputs.missing).toEqual(both("the object store has no such file (404)"));
  });

  it("no access", async () => {
    const files = { "/BackupContents": answersWith(403), "/BackupVolumeInfos": answersWith(403) };
    expect((await outputsWithFiles(completed, files)).outputs.missing).toEqual(both("the object store answered 403"));
  });

  it("files larger than the runner's memory can bear", async () => {
    const object = backup({ phase: "PartiallyFailed", warnings: 1, errors: 0 });
    const large = { warnings: { velero: ["w".repeat(7 * 1024 * 1024)] } };
    const files = { "/BackupResults": large, "/BackupContents": archive(24), "/BackupVolumeInfos": [] };
    const { outputs } = await outputsWithFiles(object, files, {}, DOWNLOAD_LIMITS);
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
    const { outputs } = await outputsWithFiles(completed, {
      "/BackupContents": archive(24),
      "/BackupVolumeInfos": file,
    });
    expect(outputs.missing).toEqual([
      "skippedVolumes and sizes of snapshots: BackupVolumeInfos is not what Velero documents",
    ]);
    expect(outputs.unreadableFiles).toBeUndefined();
  });

  it("a policy that refuses downloads is no old Velero", async () => {
    const { outputs } = await outputsOf(completed, { refusesDownloads: true, movements: {} });
    expect(outputs.missing).toEqual(both(LOGGED));
  });

  it("but not the location itself, where nobody asks for its certificates", async () => {
    const { url } = await httpStore({ "/BackupContents": archive(24), "/BackupVolumeInfos": [] });
    const { outputs } = await outputsOf(completed, { storeUrl: url, objectStorage: undefined });
    expect(outputs).toMatchObject({ backupSizeBytes: "24", storageLocation: "default" });
    expect(outputs.missing).toBeUndefined();
  });

  it("volume infos, on an older Velero: what was copied is summed up from its progress", async () => {
    const movements = {
      podvolumebackups: [{ totalBytes: 100, bytesDone: 100 }, {}],
      datauploads: [{ totalBytes: 23 }],
    };
    const velero = { unknownKinds: ["BackupVolumeInfos"], movements };
    const { outputs, selectors } = await outputsWithFiles(completed, { "/BackupContents": archive(1000) }, velero);
    expect(outputs.backupSizeBytes).toBe("1123");
    expect(outputs.missing).toEqual([
      "skippedVolumes and sizes of snapshots: this version of Velero has no BackupVolumeInfos",
    ]);
    expect(selectors).toEqual({
      podvolumebackups: "velero.io/backup-uid=own-uid",
      datauploads: "velero.io/backup-uid=own-uid",
    });
  });

  it("volume infos and the right to see what was copied", async () => {
    const velero: FakeVelero = { unknownKinds: ["BackupVolumeInfos"], movements: { podvolumebackups: "forbidden" } };
    const { outputs, lines } = await outputsWithFiles(completed, { "/BackupContents": archive(1000) }, velero);
    expect(outputs.backupSizeBytes).toBeUndefined();
    expect(outputs.missing?.[0]).toBe(`backupSizeBytes: sizes of the volumes: ${LOGGED}`);
    expect(JSON.stringify(lines)).toContain("list podvolumebackups");
  });

  it("but the end of the process is no such thing", async () => {
    const stop = new AbortController();
    const { url } = await httpStore({ "/BackupContents": () => stop.abort(new Error("SIGTERM")) });
    const { context } = await fakeVelero({ storeUrl: url, objectStorage: DEFAULT_LOCATION }, stop.signal);
    await expect(collectOutputs(context, operation("Backup"), completed, LIMITS)).rejects.toThrow("SIGTERM");
  });
});
