import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { stateFolder } from "../folders.ts";
import { isAlive, type ProcessId } from "../processes.ts";
import { every, heartbeatMs } from "../progress.ts";
import { withLock } from "../toolchain/lock.ts";
import { type Connection, readConnection } from "./connection.ts";
import { type StartOptions, startEmbedded, stopEmbedded } from "./driver.ts";

/** Where the one cluster that outlives its command is written down. */
function stateFile(env: NodeJS.ProcessEnv): string {
  return path.join(stateFolder(env), "cluster.json");
}

/**
 * The cluster that was kept, undefined when there is none. What is left of one
 * whose host has died (a reboot, SIGKILL) is cleared away on the way.
 */
export async function keptCluster(env: NodeJS.ProcessEnv): Promise<Connection | undefined> {
  const connection = await readConnection(stateFile(env));
  if (connection === undefined || (await isAlive(connection.host))) return connection;
  await endKeptCluster(env);
  return undefined;
}

/**
 * Starts the cluster that stays up when this process ends. Throws when one is up
 * already: whoever kept it may be in the middle of something.
 */
export async function startKeptCluster(options: Omit<StartOptions, "keep">): Promise<Connection> {
  const { env, progress } = options;
  await mkdir(stateFolder(env), { recursive: true, mode: 0o700 });
  const waiting = every(heartbeatMs, ({ pid }: ProcessId, elapsed) =>
    progress(`waiting for process ${pid}, which starts a cluster to keep, ${elapsed}`),
  );
  return withLock(path.join(stateFolder(env), "cluster.lock"), waiting, async () => {
    if ((await keptCluster(env)) !== undefined) {
      throw new Error("a cluster is being kept already: npm run cluster -- status says where, -- down ends it");
    }
    return startEmbedded({ ...options, keep: stateFile(env) });
  });
}

/** Takes the kept cluster down. Answers false when there is none. */
export async function endKeptCluster(env: NodeJS.ProcessEnv): Promise<boolean> {
  const connection = await readConnection(stateFile(env));
  if (connection === undefined) return false;
  await stopEmbedded(connection);
  await rm(stateFile(env), { force: true });
  return true;
}
