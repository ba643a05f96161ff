import { createHash } from "node:crypto";
import { access, constants, mkdir, readdir, readFile, rename, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { cacheFolder } from "../folders.ts";
import type { ProcessId } from "../processes.ts";
import { duration, every, heartbeatMs, type Progress, withHeartbeat } from "../progress.ts";
import { build, checkGo, download, type Go, goCaches, goFor, ToolchainError } from "./go.ts";
import { withLock } from "./lock.ts";
import { type BuildPlan, buildPlan, type ProgramName } from "./programs.ts";

/** What a build of everything leaves behind: modules 3 GB, compiled packages 4 GB, programs 0.7 GB. */
const coldBuildBytes = 8e9;

/** What `KUBEBUILDER_ASSETS` covers, as in controller-runtime's envtest. */
const envtestAssets: readonly ProgramName[] = ["etcd", "kube-apiserver", "kubectl"];

interface Wanted {
  readonly plan: BuildPlan;
  readonly file: string;
}

export interface BuildOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
  /** What they run on, if that is not this machine itself: images are Linux wherever they are built. */
  readonly system?: "linux";
}

/**
 * Paths of the named programs. Those that were never built for this version
 * and platform are built first, into the cache; with all of them there this
 * takes milliseconds. `KUBEBUILDER_ASSETS` in `env`, a folder, takes precedence
 * for etcd, kube-apiserver and kubectl.
 *
 * Throws a ToolchainError (one message, what is wrong and what to do) when Go
 * is missing or too old, the disk is full or modules cannot be fetched.
 */
export async function ensurePrograms<Name extends ProgramName>(
  names: readonly Name[],
  options: BuildOptions,
): Promise<Record<Name, string>> {
  const assets = options.env.KUBEBUILDER_ASSETS;
  const cache = cacheFolder(options.env);
  const entries: (readonly [Name, string])[] = [];
  const missing: Wanted[] = [];
  for (const name of names) {
    if (assets && options.system === undefined && envtestAssets.includes(name)) {
      entries.push([name, await assetPath(assets, name)]);
      continue;
    }
    const plan = await buildPlan(name, options.env);
    const file = path.join(cache, "bin", await key(plan, options.system), name);
    entries.push([name, file]);
    if (!(await isExecutable(file))) missing.push({ plan, file });
  }
  if (missing.length > 0) await buildAll(missing, cache, options);
  return toRecord(entries);
}

async function buildAll(
  missing: readonly Wanted[],
  cache: string,
  { env, progress, system }: BuildOptions,
): Promise<void> {
  const began = performance.now();
  const work = path.join(cache, "build");
  const go = goFor(env, path.join(work, "tmp"), system);
  const waiting = every(heartbeatMs, ({ pid }: ProcessId, elapsed) =>
    progress(`waiting for process ${pid}, which is building the test cluster, ${elapsed}`),
  );
  await withLock(path.join(cache, "build.lock"), waiting, async () => {
    const todo: Wanted[] = [];
    for (const wanted of missing) if (!(await isExecutable(wanted.file))) todo.push(wanted);
    if (todo.length === 0) return;
    // Whatever lies here is a rest of a build that was killed: only the holder of the lock writes here.
    await rm(work, { recursive: true, force: true });
    await mkdir(path.join(work, "tmp"), { recursive: true });
    try {
      await buildEach(go, todo, cache, work, progress);
    } catch (error) {
      throw await withDiskSpace(error, go, cache);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    progress(`test cluster built in ${duration(performance.now() - began)}; the next start takes it from ${cache}`);
  });
}

async function buildEach(
  go: Go,
  todo: readonly Wanted[],
  cache: string,
  work: string,
  progress: Progress,
): Promise<void> {
  progress(
    `building the test cluster's programs from source, once (${todo.length} missing; minutes on a slow machine)`,
  );
  const folders = [...new Set(todo.map(({ plan }) => plan.folder))];
  await withHeartbeat(
    progress,
    (elapsed) => `checking Go, ${elapsed}`,
    async () => {
      for (const folder of folders) await checkGo(go, folder);
      await warnWhenDiskIsShort(go, cache, progress);
    },
  );
  const sizes: number[] = [];
  let modules = 0;
  await withHeartbeat(
    progress,
    (elapsed) =>
      `fetching Go modules (program ${sizes.length + 1}/${todo.length}), ${elapsed}, ${modules} downloaded so far`,
    async () => {
      for (const { plan } of todo) sizes.push(await download(go, plan, () => modules++));
    },
  );
  for (const [index, { plan, file }] of todo.entries()) {
    let packages = 0;
    const describe = (elapsed: string) =>
      `building ${plan.name} (${index + 1}/${todo.length}), ${elapsed}, ${packages} packages compiled, of at most ${sizes[index]}`;
    const output = path.join(work, plan.name);
    await withHeartbeat(progress, describe, () => build(go, plan, output, () => packages++));
    await mkdir(path.dirname(file), { recursive: true });
    await rename(output, file);
  }
}

/** Names a program's version and platform: everything that decides what comes out of the compiler. */
async function key(plan: BuildPlan, system: string = process.platform): Promise<string> {
  const hash = createHash("sha256").update(`${system}/${process.arch}\n${plan.package}\n${plan.linkerFlags}\n`);
  const files = (await readdir(plan.folder, { recursive: true })).filter((file) => /\.(go|mod|sum)$/.test(file)).sort();
  for (const file of files) hash.update(`${file}\n`).update(await readFile(path.join(plan.folder, file)));
  return hash.digest("hex").slice(0, 16);
}

async function assetPath(folder: string, name: ProgramName): Promise<string> {
  const file = path.join(folder, name);
  if (await isExecutable(file)) return file;
  throw new ToolchainError(`KUBEBUILDER_ASSETS is ${folder}, but there is no program ${name} in it.`);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function freeSpace(folder: string): Promise<number> {
  // Go creates its caches when it first needs them: ask the nearest folder that exists.
  const stats = await statfs(folder).catch(() => undefined);
  if (stats !== undefined) return stats.bavail * stats.bsize;
  return path.dirname(folder) === folder ? Number.POSITIVE_INFINITY : freeSpace(path.dirname(folder));
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

/** Not an error: with warm Go caches far less is enough, and how much of them is warm cannot be known beforehand. */
async function warnWhenDiskIsShort(go: Go, cache: string, progress: Progress): Promise<void> {
  for (const folder of [cache, ...(await goCaches(go))]) {
    const free = await freeSpace(folder);
    if (free >= coldBuildBytes) continue;
    progress(`only ${gigabytes(free)} free for ${folder}; a first build fills up to ${gigabytes(coldBuildBytes)}`);
    return;
  }
}

/** Adds to the error of a full disk how much is needed and where. */
async function withDiskSpace(error: unknown, go: Go, cache: string): Promise<unknown> {
  const full = error instanceof Error && /the disk is full|ENOSPC/.test(error.message);
  if (!full) return error;
  const places = await Promise.all(
    [cache, ...(await goCaches(go))].map(async (folder) => `${folder} (${gigabytes(await freeSpace(folder))} free)`),
  );
  return new ToolchainError(
    `${error.message.replace(/\.$/, "")}: a first build fills up to ${gigabytes(coldBuildBytes)} in ${places.join(", ")}. ` +
      "Free some space, or move them with OPERATION_RUNNER_CACHE, GOMODCACHE and GOCACHE.",
  );
}

function toRecord<Name extends string>(entries: readonly (readonly [Name, string])[]): Record<Name, string> {
  return Object.fromEntries(entries) as Record<Name, string>;
}
