import { afterAll, inject } from "vitest";
import type { Cluster } from "./cluster.ts";
import { connectCluster, startCluster } from "./startCluster.ts";

/** The control plane that the global setup of this project started; all its test files share it. */
export function testCluster(): Cluster {
  return connectCluster(inject("cluster"), process.env);
}

/** A full cluster for one test file alone, which it may stop and break as it likes. Ends with the file. */
export async function ownCluster(): Promise<Cluster> {
  const cluster = await startCluster({ tier: "full", env: process.env, progress: () => {} });
  afterAll(cluster.down);
  return cluster;
}
