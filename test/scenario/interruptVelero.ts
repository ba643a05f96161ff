import { expect } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { listObjects } from "./operations.ts";
import { VELERO_NAMESPACE, waitFor } from "./platform.ts";

/** Holding real Velero where it would be for milliseconds only: a small backup is done before anybody can look. */

/** A backup or restore that is in progress stays so while the object store does not answer. */
export async function whileStoreHangs<T>(cluster: Cluster, work: () => Promise<T>): Promise<T> {
  await cluster.objectStore.pause();
  try {
    return await work();
  } finally {
    await cluster.objectStore.resume();
  }
}

/** Nothing is begun while Velero's server is not there: a new backup stays New. */
export async function whileVeleroIsDown<T>(cluster: Cluster, work: () => Promise<T>): Promise<T> {
  await scaleVelero(cluster, 0);
  try {
    return await work();
  } finally {
    await scaleVelero(cluster, 1);
  }
}

async function scaleVelero(cluster: Cluster, replicas: 0 | 1): Promise<void> {
  await cluster.kubectl(["scale", "deployment/velero", "-n", VELERO_NAMESPACE, `--replicas=${replicas}`]);
  if (replicas === 0) return await waitFor(cluster, ["pods", "-n", VELERO_NAMESPACE, "-l", "deploy=velero"], "delete");
  await waitFor(cluster, ["deployment/velero", "-n", VELERO_NAMESPACE], "condition=Available");
}

/** Kills Velero's server in the middle of whatever it does; its Deployment brings it back. */
export async function killVelero(cluster: Cluster): Promise<void> {
  const running = ["-l", "deploy=velero", "--field-selector=status.phase=Running"];
  const [pod] = await listObjects(cluster, ["pods", "-n", VELERO_NAMESPACE, ...running]);
  if (pod === undefined) throw new Error("no Velero is running");
  await cluster.killPod(VELERO_NAMESPACE, pod.metadata.name, "SIGKILL");
}

/** How the API server words the refusal. */
const HELD = "held by a test";
const VELERO_SERVER = `system:serviceaccount:${VELERO_NAMESPACE}:velero`;

/**
 * Backups stay Finalizing while the API server refuses to let Velero call it Completed: Velero tries again until it may.
 * Pausing the object store instead would be a matter of luck, since finalizing takes less time than it takes to look.
 *
 * @param name what the backups' names begin with; there is one of exactly that name, which is not that far yet
 */
export async function whileFinalizing<T>(cluster: Cluster, name: string, work: () => Promise<T>): Promise<T> {
  const policy = `hold-${name}`;
  await cluster.apply([
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: policy },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: ["velero.io"], apiVersions: ["*"], resources: ["backups"], operations: ["UPDATE"] },
          ],
        },
        matchConditions: [
          { name: "by-velero", expression: `request.userInfo.username == '${VELERO_SERVER}'` },
          { name: "these-backups", expression: `object.metadata.name.startsWith('${name}')` },
        ],
        validations: [{ expression: "object.?status.?phase.orValue('') != 'Completed'", message: HELD }],
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: policy },
      spec: { policyName: policy, validationActions: ["Deny"] },
    },
  ]);
  const trial = ["patch", `backup.velero.io/${name}`, "-n", VELERO_NAMESPACE, "--type=merge", "--dry-run=server"];
  const asVelero = ["--as", VELERO_SERVER, "-p", '{"status":{"phase":"Completed"}}'];
  // The API server takes a policy up, and lets go of it, a moment after it has said so.
  const refusal = () =>
    expect.poll(async () => (await cluster.kubectl([...trial, ...asVelero])).stderr, { timeout: 60_000 });
  const lift = async () => {
    await cluster.kubectl([
      "delete",
      `validatingadmissionpolicybinding/${policy}`,
      `validatingadmissionpolicy/${policy}`,
    ]);
    await refusal().not.toContain(HELD);
    await wake(cluster, name);
  };
  try {
    await refusal().toContain(HELD);
    return await work();
  } finally {
    await lift();
  }
}

/** Velero before 1.15 tries only once to write a backup's end; whatever changes the backup makes it look again. */
async function wake(cluster: Cluster, name: string): Promise<void> {
  for (const { metadata } of await listObjects(cluster, ["backups.velero.io", "-n", VELERO_NAMESPACE])) {
    if (!metadata.name.startsWith(name)) continue;
    await cluster.kubectl(["annotate", `backup.velero.io/${metadata.name}`, "-n", VELERO_NAMESPACE, "woken=true"]);
  }
}
