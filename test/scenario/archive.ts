import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { extract, pack } from "tar-stream";

/**
 * A tar archive with other files.
 *
 * @param change is given each file's name and content; what it returns is its content from now on, undefined removes the file
 */
export async function changedTar(
  tar: Buffer,
  change: (name: string, content: string) => string | undefined,
): Promise<Buffer> {
  const made = pack();
  const entries = extract();
  entries.end(tar);
  for await (const entry of entries) {
    const content = change(entry.header.name, (await buffer(entry)).toString("utf8"));
    if (content !== undefined) made.entry({ name: entry.header.name }, content);
  }
  made.finalize();
  return await buffer(made);
}

/** The same of a packed one, as it lies in the bucket. */
export async function changedArchive(
  packed: Buffer,
  change: (name: string, content: string) => string | undefined,
): Promise<Buffer> {
  const tar = await promisify(gunzip)(packed);
  return await promisify(gzip)(await changedTar(tar, change));
}
