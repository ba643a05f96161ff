import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import { ensurePrograms } from "../cluster/toolchain/toolchain.ts";
import { DRIVER, parseRequests, SNAPSHOT_BYTES, type SnapshotDriver } from "./driver.ts";
import { type Program, startProgram } from "./program.ts";

/**
 * Starts snapshot-controller, csi-snapshotter and the driver as processes of ours, which end with us at the latest. They
 * listen on a Unix socket only and reach the cluster with a kubeconfig of their own; the snapshot CRDs have to be there.
 *
 * @throws as {@link ensurePrograms}, which builds them when they are needed for the first time
 */
export async function startLocalDriver(
  cluster: Cluster,
  options: { env: NodeJS.ProcessEnv; progress: Progress },
): Promise<SnapshotDriver> {
  const files = await ensurePrograms(["csi-double", "csi-snapshotter", "snapshot-controller"], options);
  const kubeconfig = `--kubeconfig=${await cluster.user("csi-snapshots", ["system:masters"])}`;
  const folder = await mkdtemp(path.join(os.tmpdir(), "csi-"));
  const start = (name: keyof typeof files, args: readonly string[]) => startProgram(files[name], args, options.env);
  // Without the CRDs of group snapshots, which are not in use here, the controller would look for them for 30 s first.
  const programs: readonly Program[] = [
    start("csi-double", ["-folder", folder, "-driver", DRIVER, "-size", String(SNAPSHOT_BYTES)]),
    start("csi-snapshotter", [kubeconfig, `--csi-address=${path.join(folder, "csi.sock")}`, "--extra-create-metadata"]),
    start("snapshot-controller", [kubeconfig, "--feature-gates=CSIVolumeGroupSnapshot=false"]),
  ];
  const failure = path.join(folder, "failure");
  return {
    refuse: (words) => (words === undefined ? rm(failure, { force: true }) : writeFile(failure, words)),
    async snapshots() {
      return parseRequests(await readFile(path.join(folder, "snapshots.jsonl"), "utf8").catch(() => ""));
    },
    async stop() {
      const ends = await Promise.allSettled(programs.map((program) => program.stop()));
      await rm(folder, { recursive: true, force: true });
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    },
  };
}
