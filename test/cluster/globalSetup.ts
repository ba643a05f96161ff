import type { TestProject } from "vitest/node";
import { printProgress } from "./progress.ts";
import { type Connection, prepareCluster, startCluster } from "./startCluster.ts";

declare module "vitest" {
  interface ProvidedContext {
    cluster: Connection;
  }
}

/**
 * Starts one control plane for all files of a project that share it. The files of e2e have a full cluster each
 * (ownCluster), because they stop and kill what others would need; for them its programs are built here.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const say = printProgress(process.stderr);
  const options = { env: process.env, progress: (line: string) => say(`${project.name}: ${line}`) };
  if (project.name === "e2e") {
    await prepareCluster({ ...options, tier: "full" });
    return undefined;
  }
  const cluster = await startCluster({ ...options, tier: "api" });
  project.provide("cluster", cluster.connection);
  return cluster.down;
}
