import { kindNodes } from "../kind/nodes.ts";
import type { SharedConnection } from "./connection.ts";
import { type BorrowedCluster, borrowCluster } from "./sharedCluster.ts";

/** Borrows a cluster that {@link startShared} has prepared, with what its driver can do. */
export function borrow(connection: SharedConnection, env: NodeJS.ProcessEnv): Promise<BorrowedCluster> {
  return borrowCluster(connection, env, connection.driver === "kind" ? kindNodes : undefined);
}
