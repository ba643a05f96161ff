import type { TestProject } from "vitest/node";
import { printProgress } from "./progress.ts";
import { type Connection, startCluster } from "./startCluster.ts";

declare module "vitest" {
  interface ProvidedContext {
    cluster: Connection;
  }
}

/** Starts one cluster for all test files of a project: the full one for e2e, a control plane for the others. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const say = printProgress(process.stderr);
  const cluster = await startCluster({
    tier: project.name === "e2e" ? "full" : "api",
    env: process.env,
    progress: (line) => say(`${project.name}: ${line}`),
  });
  project.provide("cluster", cluster.connection);
  return cluster.down;
}
