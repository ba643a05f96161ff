import { inject } from "vitest";
import type { Cluster } from "./cluster.ts";
import { connectCluster } from "./startCluster.ts";

/** The cluster that the global setup of this project started; all its test files share it. */
export function testCluster(): Cluster {
  return connectCluster(inject("cluster"), process.env);
}
