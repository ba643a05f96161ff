import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { connection } from "../../cluster/embedded/connection.ts";
import { clusterProcesses } from "../../cluster/embedded/sweep.ts";
import { connectCluster } from "../../cluster/startCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";

const line = z.object({ progress: z.string().optional(), connection: connection.optional() });

/** Everything here starts clusters in a temporary folder of its own, so that what is left behind is seen. */
const folder = temporaryFolder();
let owner: ChildProcess;
let lines: AsyncIterator<z.infer<typeof line>>;

async function* parsed(child: ChildProcess): AsyncGenerator<z.infer<typeof line>> {
  if (child.stdout === null) throw new Error("the owner has no output");
  for await (const text of createInterface({ input: child.stdout })) yield line.parse(JSON.parse(text));
}

beforeEach(() => {
  owner = spawn(process.execPath, [path.join(import.meta.dirname, "owner.ts")], {
    env: { ...process.env, TMPDIR: folder() },
    stdio: ["ignore", "pipe", "inherit"],
  });
  lines = parsed(owner);
});

afterEach(() => void owner.kill("SIGKILL"));

/** Reads the owner's output up to the first line that `pick` finds something in. */
async function hears<T>(pick: (said: z.infer<typeof line>) => T | undefined): Promise<T> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error("the owner ended early");
    const found = pick(value);
    if (found !== undefined) return found;
  }
}

const up = () => hears((said) => said.connection);

/** Nothing of it is there any more: no process, no file. */
async function isGone(cluster: string): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await clusterProcesses(cluster)).toEqual([]);
      expect(await readdir(folder())).toEqual([]);
    },
    { timeout: 60_000 },
  );
}

describe("a cluster ends with its owner, and leaves no process and no file", () => {
  test.each(["SIGINT", "SIGTERM", "SIGKILL", "SIGABRT"] as const)("when the owner gets %s", async (signal) => {
    const { folder: cluster } = await up();
    expect((await clusterProcesses(cluster)).length).toBeGreaterThanOrEqual(3);
    owner.kill(signal);
    await isGone(cluster);
  });

  test("when the owner is killed while the cluster starts", async () => {
    await hears((said) => said.progress?.startsWith("starting") || undefined);
    const started = async () => {
      const [cluster] = await readdir(folder());
      expect(cluster).toBeDefined();
      const found = path.join(folder(), cluster ?? "");
      expect(await clusterProcesses(found)).not.toEqual([]);
      return found;
    };
    const cluster = await vi.waitFor(started, { timeout: 60_000, interval: 5 });
    owner.kill("SIGKILL");
    await isGone(cluster);
  });

  test("when the cluster's host is killed", async () => {
    const { folder: cluster, host } = await up();
    process.kill(host.pid, "SIGKILL");
    await isGone(cluster);
  });
});

test("a restarted API server breaks connections, keeps its address and has lost nothing", async () => {
  const running = await up();
  const cluster = connectCluster(running, process.env);
  await cluster.kubectl(["create", "configmap", "before", "-n", "default"]);
  const args = ["get", "configmap", "before", "-n", "default", "--watch", "-o", "name"];
  const watch = spawn(path.join(running.programs, "kubectl"), args, {
    env: { KUBECONFIG: running.kubeconfig, KUBECACHEDIR: path.join(folder(), "kubectl-cache"), KUBERC: "off" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(watch, "exit");
  expect(String(await once(watch.stdout, "data"))).toContain("configmap/before");
  await cluster.restartApiServer();
  await ended;
  expect((await cluster.kubectl(["get", "configmap", "before", "-n", "default"])).code).toBe(0);
});
