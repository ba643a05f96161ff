import type { Cluster, OwnedCluster } from "./cluster.ts";
import type { Connection, Tier } from "./embedded/connection.ts";
import { type StartOptions, startEmbedded, stopEmbedded } from "./embedded/driver.ts";
import { embeddedCluster } from "./embedded/embeddedCluster.ts";

export type { Connection, Tier };

/** A started cluster, and what another process needs to use it too. */
export interface StartedCluster extends OwnedCluster {
  readonly connection: Connection;
}

/** Starts a cluster: see startEmbedded for what it throws. */
export async function startCluster(options: StartOptions): Promise<StartedCluster> {
  const connection = await startEmbedded(options);
  return Object.assign(connectCluster(connection, options.env), { connection, down: () => stopEmbedded(connection) });
}

/** Uses a cluster that another process started. */
export function connectCluster(connection: Connection, env: NodeJS.ProcessEnv): Cluster {
  return embeddedCluster(connection, env);
}
