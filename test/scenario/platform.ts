import pRetry from "p-retry";
import type { Cluster } from "../cluster/cluster.ts";
import type { Progress } from "../cluster/progress.ts";
import { veleroManifests } from "./veleroManifests.ts";

/** Where the shipped manifests install things. */
export const SYSTEM_NAMESPACE = "vworkspace-system";
export const VELERO_NAMESPACE = "velero";

/** Generous: a slow machine has all the time it needs. */
const PATIENCE = "180s";

/**
 * Installs what a platform team would, from the shipped manifests as they are: Velero with its storage location, the
 * ApplicationInstance CRD, the dispatcher. Resolves when all of it is ready.
 */
export async function installPlatform(cluster: Cluster, progress: Progress): Promise<void> {
  // Velero looks for new kinds every five minutes: what it is to back up at once has to be known before it starts.
  await applied(cluster, "manifests/crds");
  await applied(cluster, "manifests/components/application-instance-crd");
  await waitFor(
    cluster,
    ["crd/applicationinstances.apps.vworkspace.io", "crd/operations.ops.vworkspace.io"],
    "condition=Established",
  );
  await cluster.apply(await veleroManifests(cluster, process.env));
  await waitFor(cluster, ["crd/backupstoragelocations.velero.io"], "condition=Established");
  await cluster.objectStore.connectVelero(VELERO_NAMESPACE);
  await waitFor(cluster, ["deployment/velero", "-n", VELERO_NAMESPACE], "condition=Available");
  progress("Velero is running");
  await waitFor(
    cluster,
    ["backupstoragelocation/default", "-n", VELERO_NAMESPACE],
    "jsonpath={.status.phase}=Available",
  );
  progress("Velero's storage location is Available");
  await applied(cluster, "manifests");
  await waitFor(cluster, ["deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE], "condition=Available");
  progress("the dispatcher is running");
}

/** What kubectl prints, in the dispatcher's namespace. Throws with its words when it fails. */
export async function systemKubectl(cluster: Cluster, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(["-n", SYSTEM_NAMESPACE, ...args]);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** Applies a folder. An API server that has only just started may turn a request away: then once more, as a person would. */
async function applied(cluster: Cluster, folder: string): Promise<void> {
  await pRetry(() => cluster.apply(folder), { retries: 3 });
}

/**
 * `kubectl wait`, as a user would: `what` names the objects, `condition` what to wait for.
 *
 * @throws Error with kubectl's words when it does not come true
 */
export async function waitFor(cluster: Cluster, what: readonly string[], condition: string): Promise<void> {
  for (;;) {
    const answer = await cluster.kubectl(["wait", `--for=${condition}`, ...what, `--timeout=${PATIENCE}`]);
    if (answer.code === 0) return;
    // An object so young that it has no conditions yet: kubectl takes that for an error rather than wait for them.
    if (answer.stderr.includes("accessor error")) continue;
    // Of all there were, somebody else has deleted one meanwhile.
    if (what.includes("--all") && answer.stderr.includes("(NotFound)")) continue;
    throw new Error(`kubectl wait --for=${condition} ${what.join(" ")}: ${answer.stderr.trim()}`);
  }
}
