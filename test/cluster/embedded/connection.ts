import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

/** "api": API server and controllers. "full": also a node that runs pods, and an object store. */
export const tier = z.enum(["api", "full"]);
export type Tier = z.infer<typeof tier>;

/** All that is needed to use a running embedded cluster from any process: JSON, no live parts. */
export const connection = z.object({
  driver: z.literal("embedded"),
  tier,
  folder: z.string(),
  /** The process everything else belongs to. */
  host: z.object({ pid: z.number(), started: z.string() }),
  kubeconfig: z.string(),
  /** Folder with links to kubectl and, in the full tier, velero. */
  programs: z.string(),
  logs: z.string(),
  auditLog: z.string(),
  /** Unix socket on which the host takes orders. */
  socket: z.string(),
  bucket: z
    .object({
      endpoint: z.string(),
      region: z.string(),
      name: z.string(),
      accessKeyId: z.string(),
      secretAccessKey: z.string(),
    })
    .optional(),
});
export type Connection = z.infer<typeof connection>;

/** Reads a connection from a file; undefined when there is none. */
export async function readConnection(file: string): Promise<Connection | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : connection.parse(JSON.parse(text));
}

/** Writes a connection, whole or not at all, readable for its owner only: it holds credentials. */
export async function writeConnection(file: string, value: Connection): Promise<void> {
  const draft = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}`);
  await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
  await rename(draft, file);
}
