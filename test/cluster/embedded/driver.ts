import { fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../processes.ts";
import { duration, type Progress, withHeartbeat } from "../progress.ts";
import type { ProgramName } from "../toolchain/programs.ts";
import { ensurePrograms } from "../toolchain/toolchain.ts";
import { type Connection, readConnection, type Tier } from "./connection.ts";
import { controlPlanePrograms } from "./controlPlane.ts";
import { type HostOptions, hostMessage } from "./hostOptions.ts";
import { sweep } from "./sweep.ts";

const pollMs = 20;
/** Grace for the host to end in good order; pods get five seconds of it. */
const downTimeoutMs = 20_000;

const apiPrograms: readonly ProgramName[] = [...controlPlanePrograms, "kubectl"];
const fullPrograms: readonly ProgramName[] = [...apiPrograms, "versitygw", "velero", "velero-plugin-for-aws"];

export interface StartOptions {
  readonly tier: Tier;
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
  /** Outlive this process, and write the connection into this file. Otherwise the cluster ends with us, however we end. */
  readonly keep?: string;
}

/** Builds what a cluster of that tier is made of, if that was not done before. Throws ToolchainError when it cannot be. */
export async function preparePrograms({
  tier,
  env,
  progress,
}: Omit<StartOptions, "keep">): Promise<HostOptions["programs"]> {
  return await ensurePrograms(tier === "full" ? fullPrograms : apiPrograms, { env, progress });
}

/**
 * Starts an embedded cluster and resolves once it serves; the first time on a
 * machine its programs are built. Throws ToolchainError when they cannot be, or
 * an Error with the end of the log when a component does not start. Nothing is
 * left behind in that case.
 */
export async function startEmbedded({ tier, env, progress, keep }: StartOptions): Promise<Connection> {
  const programs = await preparePrograms({ tier, env, progress });
  const began = performance.now();
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-"));
  try {
    const connection = await withHeartbeat(
      progress,
      (elapsed) => `starting the test cluster (${tier}), ${elapsed}`,
      () => startHost({ folder, tier, programs, ...(keep === undefined ? {} : { keep }) }, env),
    );
    progress(`test cluster ready after ${duration(performance.now() - began)}`);
    return connection;
  } catch (error) {
    await sweep(folder);
    throw error;
  }
}

/** Starts the host in a session of its own: Ctrl-C in our terminal reaches us, and it hears of it when we are gone. */
async function startHost(options: HostOptions, env: NodeJS.ProcessEnv): Promise<Connection> {
  const { folder } = options;
  const logFile = path.join(folder, "host.log");
  const log = openSync(logFile, "a");
  const host = fork(path.join(import.meta.dirname, "host.ts"), [JSON.stringify(options)], {
    detached: true,
    cwd: "/",
    env: hostEnv(env),
    execArgv: [],
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  try {
    await new Promise<void>((resolve, reject) => {
      host.once("error", reject);
      host.once("exit", async () => {
        const end = (await readFile(logFile, "utf8").catch(() => "")).trimEnd().split("\n").slice(-20).join("\n");
        reject(new Error(`the test cluster's host ended while starting:\n${end}`));
      });
      host.once("message", (message) => {
        const told = hostMessage.parse(message);
        if ("error" in told) reject(new Error(told.error));
        else resolve();
      });
    });
  } catch (error) {
    if (host.exitCode === null && host.signalCode === null) {
      await new Promise<void>((resolve) => host.once("exit", () => resolve()));
    }
    throw error;
  }
  host.removeAllListeners("exit");
  // The channel stays open: its end tells the host that we are gone. It must not keep us running.
  host.unref();
  host.channel?.unref();
  const connection = await readConnection(path.join(folder, "connection.json"));
  if (connection === undefined) throw new Error(`the test cluster in ${folder} vanished while it started`);
  return connection;
}

/** A kubeconfig or a debugger of the caller's has no business in the cluster. */
function hostEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { KUBECONFIG, NODE_OPTIONS, NODE_V8_COVERAGE, ...rest } = env;
  return rest;
}

/** Takes a cluster down and removes its files; one that is gone already is no error. */
export async function stopEmbedded({ host, folder }: Connection): Promise<void> {
  const deadline = performance.now() + downTimeoutMs;
  if (await isAlive(host)) process.kill(host.pid, "SIGTERM");
  while (await isAlive(host)) {
    if (performance.now() > deadline) process.kill(host.pid, "SIGKILL");
    await sleep(pollMs);
  }
  await sweep(folder);
}
