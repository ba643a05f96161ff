import { afterAll, inject } from "vitest";
import type { Capability, Cluster } from "./cluster.ts";
import { openShared } from "./shared/openShared.ts";
import { connectCluster, startCluster } from "./startCluster.ts";

/** The control plane that the global setup of this project started; all its test files share it. */
export function testCluster(): Cluster {
  return connectCluster(inject("cluster"), process.env);
}

/**
 * A full cluster for one test file alone, which it may break as it likes: of its own and ending with the file, or, where
 * all share one, without what the files before it have left.
 */
export async function ownCluster(): Promise<Cluster> {
  const shared = inject("shared");
  if (shared !== undefined) {
    const opened = await openShared(shared, process.env);
    afterAll(opened.close);
    return opened;
  }
  const cluster = await startCluster({ tier: "full", env: process.env, progress: () => {} });
  afterAll(cluster.down);
  return cluster;
}

/**
 * For `describe.skipIf` and `it.skipIf`: whether the cluster lacks any of what the tests need. Vitest counts what is
 * skipped; this says why.
 */
export function lacks(cluster: Cluster, ...needs: readonly Capability[]): boolean {
  const missing = needs.filter((need) => !cluster.can.has(need));
  if (missing.length > 0)
    console.warn(`tests are skipped: they need ${missing.join(", ")}, which ${cluster.driver} lacks`);
  return missing.length > 0;
}
