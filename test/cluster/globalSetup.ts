import type { TestProject } from "vitest/node";
import { driverChoice } from "./driverChoice.ts";
import { printProgress } from "./progress.ts";
import type { SharedConnection } from "./shared/connection.ts";
import { endShared, startShared } from "./shared/startShared.ts";
import { type Connection, prepareCluster, startCluster } from "./startCluster.ts";

declare module "vitest" {
  interface ProvidedContext {
    cluster: Connection;
    shared: SharedConnection | undefined;
  }
}

/**
 * Starts one control plane for all files of a project that share it. The files of e2e have a full cluster each
 * (ownCluster), because they stop and kill what others would need: for them its programs are built here, or the one
 * cluster is prepared that they use in turn.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const say = printProgress(process.stderr);
  const options = { env: process.env, progress: (line: string) => say(`${project.name}: ${line}`) };
  if (project.name === "e2e") {
    const choice = driverChoice(process.env);
    if (choice.driver === "embedded") {
      await prepareCluster({ ...options, tier: "full" });
      return undefined;
    }
    const shared = await startShared(choice, options);
    project.provide("shared", shared);
    return () => endShared(shared, process.env);
  }
  const cluster = await startCluster({ ...options, tier: "api" });
  project.provide("cluster", cluster.connection);
  return cluster.down;
}
