import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { z } from "zod";

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number(),
});
const index = z.object({ manifests: z.tuple([descriptor]) });
const manifest = z.object({ config: descriptor, layers: z.array(descriptor) });
const config = z.object({ architecture: z.string(), os: z.string() });

/** One layer of an image; sizes in bytes. */
export interface Layer {
  readonly digest: string;
  /** The deepest folder that all its files are in. */
  readonly folder: string;
  readonly files: number;
  /** As it is stored in a registry and pulled. */
  readonly compressed: number;
  /** As it lies on a node's disk. */
  readonly uncompressed: number;
}

export interface Image {
  readonly digest: string;
  /** As `docker build --platform` has it. */
  readonly platform: string;
  readonly layers: readonly Layer[];
}

/** Reads an unpacked OCI image layout that holds one image. Throws on any other content. */
export async function readImage(folder: string): Promise<Image> {
  const file = ({ digest }: { digest: string }) => path.join(folder, "blobs", ...digest.split(":"));
  const parsed = async <T>(schema: z.ZodType<T>, from: string): Promise<T> =>
    schema.parse(JSON.parse(await readFile(from, "utf8")));
  const [image] = (await parsed(index, path.join(folder, "index.json"))).manifests;
  const { config: made, layers } = await parsed(manifest, file(image));
  const { architecture, os } = await parsed(config, file(made));
  return {
    digest: image.digest,
    platform: `${os}/${architecture}`,
    layers: await Promise.all(layers.map((layer) => readLayer(layer, file(layer)))),
  };
}

async function readLayer({ digest, size, mediaType }: z.infer<typeof descriptor>, file: string): Promise<Layer> {
  const { stdout } = await promisify(execFile)("tar", ["-tf", file], { maxBuffer: 2 ** 26 });
  const entries = stdout.split("\n").filter((entry) => entry !== "");
  const files = entries.filter((entry) => !entry.endsWith("/"));
  const folders = (files.length > 0 ? files : entries).map((entry) => entry.split("/").slice(0, -1));
  const common = folders.reduce((one, other) => one.slice(0, one.findIndex((part, i) => part !== other[i]) >>> 0));
  const uncompressed = mediaType.endsWith("gzip") ? (await promisify(gunzip)(await readFile(file))).length : size;
  return { digest, folder: `/${common.join("/")}`, files: files.length, compressed: size, uncompressed };
}
