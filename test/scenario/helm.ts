import path from "node:path";
import type { Cluster, Result } from "../cluster/cluster.ts";
import { run } from "../cluster/run.ts";
import { ensurePrograms } from "../cluster/toolchain/toolchain.ts";

/** The chart as it is in the repository. */
export const CHART = "manifests/helm";

export type Helm = (...args: string[]) => Promise<Result>;

/**
 * Helm itself, as an administrator of the cluster.
 *
 * @param home where Helm keeps its own files, so that nothing of the user's is read or written
 */
export async function helmFor(cluster: Pick<Cluster, "kubeconfig">, home: string): Promise<Helm> {
  const { helm } = await ensurePrograms(["helm"], { env: process.env, progress: console.error });
  const folders = Object.fromEntries(
    ["cache", "config", "data"].map((kind) => [`HELM_${kind.toUpperCase()}_HOME`, path.join(home, kind)]),
  );
  const env = { ...process.env, ...folders, KUBECONFIG: cluster.kubeconfig };
  return (...args) => run(helm, args, { env });
}
