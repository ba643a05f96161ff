import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { conditionOf } from "../../../src/api/status.ts";
import { answersWith, archive } from "../../unit/runner/objectStore.ts";
import { Deletions } from "./deletions.ts";
import { FollowedOperation } from "./followedOperation.ts";
import { client, conditionsOf, runnerFixtures } from "./runnerFixture.ts";
import { ARCHIVE_BYTES } from "./veleroDouble.ts";

const openStage = runnerFixtures();

const slowDown = answersWith(503, "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>");
const breaksOff: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": ARCHIVE_BYTES });
  response.write("\x1f", () => response.destroy());
};

describe("an object store in trouble", () => {
  test.each([
    ["answers 503 SlowDown", slowDown],
    ["breaks off the answer", breaksOff],
  ])("that %s once for each file costs no output", async (_, trouble) => {
    const followed = await FollowedOperation.open(await openStage(), "Backup");
    const { velero } = followed.fixture;
    const asked = new Set<string>();
    velero.trouble = (kind) => {
      if (asked.has(kind)) return undefined;
      asked.add(kind);
      return trouble;
    };
    velero.results = { warnings: { velero: ["slow"] }, errors: {} };
    await followed.setVeleroStatus({ phase: "Completed", warnings: 1 });
    expect(await followed.run.ended).toMatchObject({ exitCode: 0 });
    expect((await followed.fixture.read("x1")).status?.outputs).toEqual({
      backupName: "x1",
      storageLocation: "default",
      backupSizeBytes: String(ARCHIVE_BYTES),
      warningCount: "1",
      errorCount: "0",
      warnings: ["velero: slow"],
    });
    expect([...asked].sort()).toEqual(["BackupContents", "BackupResults", "BackupVolumeInfos"]);
  });
});

/** What a store keeps that takes the framing of a signed upload (aws-chunked) for the content. */
function framed(content: Buffer): Buffer {
  const head = `${content.length.toString(16)};chunk-signature=${"0".repeat(64)}\r\n`;
  return Buffer.concat([Buffer.from(head), content, Buffer.from("\r\n0\r\n\r\n")]);
}

test("an object store that stored the framing of uploads: the backup is there, and degraded, for no one can read it", async () => {
  const followed = await FollowedOperation.open(await openStage(), "Backup");
  const file = framed(gzipSync("[]"));
  followed.fixture.velero.trouble = (kind) =>
    kind === "BackupContents"
      ? archive(file.length, 0, file.subarray(0, 2))
      : (_, response) => response.writeHead(200).end(file);
  await followed.setVeleroStatus({ phase: "Completed", warnings: 1 });
  expect(await followed.run.ended).toMatchObject({ exitCode: 0 });
  const done = await followed.fixture.read("x1");
  expect(conditionsOf(done)).toMatchObject({
    Succeeded: "True/VeleroBackupCompleted",
    Degraded: "True/FilesUnreadable",
  });
  expect(conditionOf(done.status, "Degraded")?.message).toContain("BackupContents: the file is not gzip");
  expect(done.status?.phase).toBe("Succeeded");
  expect(done.status?.outputs).toEqual({
    backupName: "x1",
    storageLocation: "default",
    warningCount: "1",
    errorCount: "0",
    unreadableFiles: [
      "BackupContents: the file is not gzip",
      "BackupResults: the file is not gzip",
      "BackupVolumeInfos: the file is not gzip",
    ],
  });
});

describe("a Backup that failed after it was cancelled", () => {
  /** Cancels a Backup that then fails, while the object store answers so when it is asked for the archive. */
  async function failed(archive: RequestListener): Promise<FollowedOperation> {
    const followed = await FollowedOperation.open(await openStage(), "Backup");
    const { fixture } = followed;
    fixture.velero.trouble = () => archive;
    await followed.setVeleroStatus({ phase: "InProgress" });
    await followed.shown("InProgress");
    await fixture.annotate("x1", { "ops.vworkspace.io/cancel": "true" });
    await fixture.until("x1", ({ conditions = [] }) =>
      conditions.some(({ message }) => message.startsWith("cancel: ")),
    );
    await followed.setVeleroStatus({ phase: "Failed", failureReason: "backup execution failed: rpc error" });
    return followed;
  }

  test.each([
    ["a page of some proxy", "<!doctype html><html><body><h1>404 Not Found</h1></body></html>"],
    ["NoSuchBucket", "<Error><Code>NoSuchBucket</Code><BucketName>velero</BucketName></Error>"],
  ])(
    "is removed without its files where the store answers 404 with %s: they may be an older backup's",
    async (_, page) => {
      const { fixture, run } = await failed(answersWith(404, page));
      await fixture.until(
        "x1",
        ({ phase, conditions = [] }) =>
          phase === "Failed" ||
          conditions.some(({ message }) => message.startsWith("cancel: waiting until Velero has deleted")),
      );
      expect(await new Deletions(client, fixture.velero.namespace).all()).toEqual([]);
      expect(await run.ended).toMatchObject({ exitCode: 2 });
      const done = await fixture.read("x1");
      expect(conditionOf(done.status, "Cancelled")?.message).toBe(
        "cancelled, no velero.io/Backup of this attempt is kept; it may have left files in the object store; the runner could not tell whether the files there are its own",
      );
      expect(await fixture.velero.all("Backup")).toEqual([]);
    },
  );

  test("is deleted by Velero where the store says that it has no such archive", async () => {
    const { fixture, run } = await failed(answersWith(404, "<Error><Code>NoSuchKey</Code></Error>"));
    const deletions = new Deletions(client, fixture.velero.namespace);
    await deletions.carryOut(await deletions.next("x1"));
    expect(await run.ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("x1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
  });
});
