import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { releaseOf } from "../toolchain/programs.ts";
import { type BuildOptions, ensurePrograms } from "../toolchain/toolchain.ts";
import { shippedImages } from "./shipped.ts";

/** Stands for the application of a team: it does nothing. */
export const APPLICATION_IMAGE = "operation-runner.test/application:1";

/** An image that the tests need in a cluster, and that is built here because it could not be pulled everywhere. */
export interface Image {
  /** Its name, as manifests have it. */
  readonly reference: string;
  /** Changes with everything that goes into it. */
  readonly key: string;
  /** Of the project itself, by its Dockerfile; or of programs alone: local file by path in the image. */
  readonly content:
    | "project"
    | { readonly files: Readonly<Record<string, string>>; readonly entrypoint: readonly string[] };
}

/** Programs that are images of the tests' own, under names from where nothing can be pulled. */
const own = ["application", "csi-double", "csi-snapshotter", "snapshot-controller", "versitygw"] as const;

/** The name of the image of one program, which is its entry point. */
export async function imageOf(program: (typeof own)[number]): Promise<string> {
  // Of none of them does the environment choose the version.
  return `operation-runner.test/${program}:${(await releaseOf(program, {})) ?? "1"}`;
}

/** Everything that the tests have a cluster run; builds the programs. */
export async function images(options: Omit<BuildOptions, "system">): Promise<Image[]> {
  const files = await ensurePrograms([...own, "cp-plugin", "velero", "velero-plugin-for-aws"], {
    ...options,
    system: "linux",
  });
  const shipped = await shippedImages();
  const ofPrograms = (reference: string, content: Record<string, string>, ...entrypoint: string[]): Image => ({
    reference,
    // The path of a program tells its version and what it was built of.
    key: digest([JSON.stringify([reference, content, entrypoint])]),
    content: { files: content, entrypoint },
  });
  const plugin = "/plugins/velero-plugin-for-aws";
  return [
    ofPrograms(shipped.velero, { "/velero": files.velero }, "/velero"),
    // Laid out as upstream's.
    ofPrograms(
      shipped.veleroPlugin,
      { [plugin]: files["velero-plugin-for-aws"], "/bin/cp-plugin": files["cp-plugin"] },
      "/bin/cp-plugin",
      plugin,
      "/target/velero-plugin-for-aws",
    ),
    ...(await Promise.all(
      own.map(async (name) => ofPrograms(await imageOf(name), { [`/${name}`]: files[name] }, `/${name}`)),
    )),
    { reference: shipped.operationRunner, key: await projectKey(), content: "project" },
  ];
}

export const projectFolder = path.join(import.meta.dirname, "..", "..", "..");

/** Of the files that reach `docker build`: what .dockerignore lets in, and what says how to build. */
async function projectKey(): Promise<string> {
  const rules = (await readFile(path.join(projectFolder, ".dockerignore"), "utf8")).split("\n");
  const allowed = rules.filter((rule) => rule.startsWith("!")).map((rule) => rule.slice(1));
  const parts: (string | Buffer)[] = [];
  for (const entry of ["Dockerfile", ".dockerignore", ...allowed].sort()) {
    for (const file of await filesOf(entry)) parts.push(file, await readFile(path.join(projectFolder, file)));
  }
  return digest(parts);
}

/** A file, or every file in a folder; none where the rule fits nothing. */
async function filesOf(entry: string): Promise<string[]> {
  const at = await stat(path.join(projectFolder, entry)).catch(() => undefined);
  if (at === undefined || at.isFile()) return at === undefined ? [] : [entry];
  const inside = await readdir(path.join(projectFolder, entry), { recursive: true, withFileTypes: true });
  return inside
    .filter((each) => each.isFile())
    .map((each) => path.relative(projectFolder, path.join(each.parentPath, each.name)))
    .sort();
}

function digest(parts: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}\n`).update(part);
  return hash.digest("hex").slice(0, 16);
}
