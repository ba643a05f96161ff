import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test, vi } from "vitest";
import { clusterProcesses, clusterVariable } from "../../cluster/embedded/sweep.ts";
import { ensurePrograms } from "../../cluster/toolchain/toolchain.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";

// Go's own caches are warm (the cluster of these tests was built), so that building etcd again takes seconds.
const folder = temporaryFolder();
const cache = () => path.join(folder(), "cache");
const environment = (more: NodeJS.ProcessEnv = {}) => ({
  ...process.env,
  KUBEBUILDER_ASSETS: undefined,
  OPERATION_RUNNER_CACHE: cache(),
  ...more,
});

/** What the cache holds, apart from folders, with the key of the version left out. */
async function cached(): Promise<string[]> {
  const entries = await readdir(cache(), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      path.relative(cache(), path.join(entry.parentPath, entry.name)).replace(/^bin\/[0-9a-f]{16}\//, "bin/KEY/"),
    )
    .sort();
}

interface Builder {
  readonly process: ChildProcess;
  readonly said: () => string;
  readonly finished: Promise<string>;
}

/** A process of its own that asks for etcd. */
function builder(): Builder {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "buildPrograms.ts"), "etcd"], {
    // The variable marks all of its processes, so that they can be found when it is dead.
    env: environment({ [clusterVariable]: folder() }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  return { process: child, said: () => said, finished: text(child.stdout) };
}

test("a program is built once, runs, and is then found in no time and without Go", async () => {
  const progress: string[] = [];
  const first = await ensurePrograms(["etcd"], { env: environment(), progress: (line) => progress.push(line) });
  expect(progress.some((line) => line.startsWith("building etcd (1/1)"))).toBe(true);
  expect(await text(spawn(first.etcd, ["--version"]).stdout)).toContain("etcd Version: 3.");
  expect(await cached()).toEqual(["bin/KEY/etcd"]);

  const again = await ensurePrograms(["etcd"], {
    env: environment({ PATH: "/nowhere" }),
    progress: (line) => expect.fail(`had to work: ${line}`),
  });
  expect(again).toEqual(first);
});

test("the caller's Go flags and workspace do not matter", async () => {
  const env = environment({
    GOFLAGS: "-mod=vendor -tags=nothing",
    GOWORK: path.join(folder(), "go.work"),
    GOOS: "plan9",
  });
  const { etcd } = await ensurePrograms(["etcd"], { env, progress: () => undefined });
  expect(await text(spawn(etcd, ["--version"]).stdout)).toContain("etcd Version: 3.");
});

test("of two builders one builds and the other waits for it", async () => {
  const builders = [builder(), builder()];
  const [one, two] = await Promise.all(builders.map(({ finished }) => finished));
  expect(one).toBe(two);
  expect(JSON.parse(one ?? "")).toMatchObject({ etcd: expect.stringContaining(cache()) });
  expect(builders.filter(({ said }) => said().includes("building etcd")).length).toBe(1);
  expect(await cached()).toEqual(["bin/KEY/etcd"]);
});

test("a builder killed in the middle takes its compiler with it, and the next one starts clean", async () => {
  const killed = builder();
  await vi.waitFor(() => expect(killed.said()).toContain("building etcd"), { timeout: 60_000, interval: 10 });
  killed.process.kill("SIGKILL");
  await once(killed.process, "exit");
  await vi.waitFor(async () => expect(await clusterProcesses(folder())).toEqual([]), { timeout: 60_000 });
  expect(await cached()).not.toContain("bin/KEY/etcd");

  const { etcd } = await ensurePrograms(["etcd"], { env: environment(), progress: () => undefined });
  expect(await text(spawn(etcd, ["--version"]).stdout)).toContain("etcd Version: 3.");
  expect(await cached()).toEqual(["bin/KEY/etcd"]);
});

test("a command ends when the process that started it is killed, its children too", async () => {
  const source = path.join(import.meta.dirname, "../../cluster/toolchain/endWithParent.ts");
  const command = ["sh", "-c", "sleep 1000 & sleep 1000"];
  const program = `import { spawnEndingWithParent } from ${JSON.stringify(source)};
    spawnEndingWithParent(${JSON.stringify(command[0])}, ${JSON.stringify(command.slice(1))}, { cwd: "/", env: process.env });`;
  const owner = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    env: environment({ [clusterVariable]: folder() }),
  });
  // The process that started it, the shell that ends it and its watcher, and at least two of the shell and the sleeps.
  await vi.waitFor(async () => expect((await clusterProcesses(folder())).length).toBeGreaterThanOrEqual(5), {
    timeout: 30_000,
  });
  owner.kill("SIGKILL");
  await vi.waitFor(async () => expect(await clusterProcesses(folder())).toEqual([]), { timeout: 60_000 });
});

describe("what stands in the way is told in one message", () => {
  const attempt = (env: NodeJS.ProcessEnv) =>
    ensurePrograms(["etcd"], { env: environment(env), progress: () => undefined });

  /** A stand-in for a Go installation in some sorry state. */
  async function fakeGo(script: string): Promise<{ PATH: string }> {
    const bin = path.join(folder(), "bin");
    await mkdir(bin);
    await writeFile(path.join(bin, "go"), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(bin, "go"), 0o755);
    return { PATH: bin };
  }

  test("no Go", async () => {
    await expect(attempt({ PATH: folder() })).rejects.toThrow(
      /no go command is in PATH\. Install Go 1\.26\.0 or newer/,
    );
  });

  test("Go too old, and unable to fetch a newer one", async () => {
    const go = await fakeGo(
      'case "$PWD" in */modules/*) echo "go: go.mod requires go >= 1.26.0" >&2; exit 1;; esac; echo go1.20.1',
    );
    await expect(attempt(go)).rejects.toThrow(/needs Go 1\.26\.0 or newer, found go1\.20\.1.*Install Go/);
  });

  test("disk full", async () => {
    const go = await fakeGo(
      'case "$*" in "env GOVERSION") echo go1.26.0;; build*) echo "write x: no space left on device" >&2; exit 1;; esac',
    );
    await expect(attempt(go)).rejects.toThrow(
      /disk is full.*fills up to 8\.0 GB in .*cache \(.* GB free\).*OPERATION_RUNNER_CACHE/,
    );
  });

  test("no network", async () => {
    const env = { GOMODCACHE: path.join(folder(), "modules"), GOPROXY: "http://127.0.0.1:9", GONOSUMDB: "*" };
    await expect(attempt(env)).rejects.toThrow(/Go module proxy cannot be reached.*connection refused/);
  });

  test("KUBEBUILDER_ASSETS without what it should hold", async () => {
    await expect(attempt({ KUBEBUILDER_ASSETS: folder() })).rejects.toThrow(
      `KUBEBUILDER_ASSETS is ${folder()}, but there is no program etcd`,
    );
  });
});

test("KUBEBUILDER_ASSETS is used for what it covers", async () => {
  const assets = path.join(folder(), "assets");
  await mkdir(assets);
  for (const name of ["etcd", "kube-apiserver", "kubectl"])
    await writeFile(path.join(assets, name), "", { mode: 0o755 });
  const found = await ensurePrograms(["etcd", "kube-apiserver", "kubectl"], {
    env: environment({ KUBEBUILDER_ASSETS: assets, PATH: "/nowhere" }),
    progress: (line) => expect.fail(`had to work: ${line}`),
  });
  expect(Object.values(found)).toEqual(["etcd", "kube-apiserver", "kubectl"].map((name) => path.join(assets, name)));
});
