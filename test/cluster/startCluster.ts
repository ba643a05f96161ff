import type { Cluster, OwnedCluster } from "./cluster.ts";
import type { Connection } from "./embedded/connection.ts";
import { preparePrograms, type StartOptions, startEmbedded, stopEmbedded } from "./embedded/driver.ts";
import { embeddedCluster } from "./embedded/embeddedCluster.ts";
import { endKeptCluster, startKeptCluster } from "./embedded/kept.ts";

export type { Connection };

/** A started cluster, and what another process needs to use it too. */
export interface StartedCluster extends OwnedCluster {
  readonly connection: Connection;
}

/**
 * Starts a cluster: see startEmbedded for what it throws. With `keep` it stays
 * up when this process ends, and `npm run cluster` knows it; there can be one such.
 */
export async function startCluster(options: Omit<StartOptions, "keep"> & { keep?: boolean }): Promise<StartedCluster> {
  const { keep = false, ...rest } = options;
  const connection = await (keep ? startKeptCluster(rest) : startEmbedded(rest));
  const down = async () => void (keep ? await endKeptCluster(rest.env) : await stopEmbedded(connection));
  return Object.assign(connectCluster(connection, rest.env), { connection, down });
}

/** Does now what the first start of a cluster would otherwise have to wait for. */
export async function prepareCluster(options: Omit<StartOptions, "keep">): Promise<void> {
  await preparePrograms(options);
}

/** Uses a cluster that another process started. */
export function connectCluster(connection: Connection, env: NodeJS.ProcessEnv): Cluster {
  return embeddedCluster(connection, env);
}
