import { kindNodes } from "../kind/nodes.ts";
import type { SharedConnection } from "./connection.ts";
import { type OpenSharedCluster, openSharedCluster } from "./sharedCluster.ts";

/** Opens a cluster that {@link startShared} has prepared, for one test file, with what its driver can do. */
export function openShared(connection: SharedConnection, env: NodeJS.ProcessEnv): Promise<OpenSharedCluster> {
  return openSharedCluster(connection, env, connection.driver === "kind" ? kindNodes : undefined);
}
