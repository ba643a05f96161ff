import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { type KeptAliveConfig, loadConfig } from "../../../src/kube/config.ts";
import type { Cluster } from "../../cluster/cluster.ts";

export const RUNNERS = { Backup: "operation-backup-runner", Restore: "operation-restore-runner" } as const;

/** Who the runners are at the API server, by the type of their Operations. */
export type Accounts = Readonly<Record<keyof typeof RUNNERS, { kubeconfig: string; config: KeptAliveConfig }>>;

/** Identities of the service accounts that the shipped manifests give the runners. */
export async function accountsOf(cluster: Cluster): Promise<Accounts> {
  const account = async (name: string) => {
    const kubeconfig = await cluster.user(`system:serviceaccount:vworkspace-system:${name}`);
    // One set of connections for all runs: each run for itself would open and leave its own.
    return { kubeconfig, config: loadConfig({ KUBECONFIG: kubeconfig }) };
  };
  return { Backup: await account(RUNNERS.Backup), Restore: await account(RUNNERS.Restore) };
}

/** The runners' rights as they are installed, with this namespace for Velero's. */
export async function shippedRights(veleroNamespace: string): Promise<object[]> {
  const file = join(import.meta.dirname, "../../../manifests/base/rbac-runner.yaml");
  return parseAllDocuments(await readFile(file, "utf8")).map((document) => {
    if (document.getIn(["metadata", "namespace"]) === "velero") {
      document.setIn(["metadata", "namespace"], veleroNamespace);
    }
    return document.toJS();
  });
}
