import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import type { SnapshotDriver } from "./driver.ts";
import { startLocalDriver } from "./localDriver.ts";
import { startPodDriver } from "./podDriver.ts";

/** Starts a CSI driver that takes snapshots: in the cluster where its node can run images, as processes of ours otherwise. */
export function startSnapshotDriver(
  cluster: Cluster,
  options: { env: NodeJS.ProcessEnv; progress: Progress },
): Promise<SnapshotDriver> {
  return cluster.can.has("real-kubelet") ? startPodDriver(cluster) : startLocalDriver(cluster, options);
}
