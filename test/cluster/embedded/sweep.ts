import { execFile } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/**
 * Environment variable that every process of a cluster inherits, children of
 * children included; its value is the cluster's folder. By it the cluster's
 * processes are found even when nobody is left who knows their pids.
 */
export const clusterVariable = "EMBEDDED_TEST_CLUSTER";

const pollMs = 20;

/**
 * Ends every process of the cluster in `folder` at once, waits until they are
 * gone and removes the folder. Nothing in a test cluster is worth a graceful
 * end. Safe to repeat, and when there is nothing left to do.
 */
export async function sweep(folder: string): Promise<void> {
  for (;;) {
    const members = await clusterProcesses(folder);
    if (members.length === 0) break;
    for (const pid of members) kill(pid);
    await sleep(pollMs);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

/** Pids of the living processes that belong to the cluster in `folder`. */
export async function clusterProcesses(folder: string): Promise<number[]> {
  const marker = `${clusterVariable}=${folder}`;
  return process.platform === "linux" ? searchProc(marker) : searchPs(marker);
}

async function searchProc(marker: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const found: number[] = [];
  for (const pid of pids) {
    // Another user's process, or one that has just ended: not ours.
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (pid !== process.pid && environment.split("\0").includes(marker)) found.push(pid);
  }
  return found;
}

async function searchPs(marker: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axwwE", "-o", "pid=,command="], { maxBuffer: 64e6 });
  return stdout
    .split("\n")
    .filter((line) => `${line} `.includes(` ${marker} `))
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => pid !== process.pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
