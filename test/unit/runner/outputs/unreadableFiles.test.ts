import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { answersWith, archive, type Files } from "../objectStore.ts";
import { completed, outputsWithFiles } from "./outputsOf.ts";

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
    const { outputs } = await outputsWithFiles(completed, files, { movements: {} });
    expect(outputs.unreadableFiles).toEqual([said]);
    expect(outputs.missing).toBeUndefined();
  });
});
