import { expect, vi } from "vitest";
import type { Cluster } from "../cluster/cluster.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE } from "../scenario/platform.ts";

const NAME = "snapshot-timeout";

/**
 * From now on Velero gives up on a snapshot after `timeout`, a Go duration, instead of ten minutes. Its server has no
 * setting for that, only each Backup has. The runner may not set it, so an admission policy does as soon as anybody else
 * writes the Backup: that is Velero, when it takes it up.
 */
export async function snapshotTimeout(cluster: Cluster, timeout: string): Promise<{ lift(): Promise<void> }> {
  const expression = `Object{spec: Object.spec{csiSnapshotTimeout: "${timeout}"}}`;
  const backups = { apiGroups: ["velero.io"], apiVersions: ["v1"], operations: ["*"], resources: ["backups"] };
  const anybodyElse = `!request.userInfo.username.startsWith("system:serviceaccount:${SYSTEM_NAMESPACE}:")`;
  await cluster.apply([
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingAdmissionPolicy",
      metadata: { name: NAME },
      spec: {
        matchConstraints: { resourceRules: [backups] },
        matchConditions: [{ name: "anybody-else", expression: anybodyElse }],
        reinvocationPolicy: "Never",
        mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression } }],
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingAdmissionPolicyBinding",
      metadata: { name: NAME },
      spec: { policyName: NAME },
    },
  ]);
  // A new policy takes a moment to hold, and nothing but trying tells.
  await vi.waitFor(async () => expect(await tried(cluster)).toBe(timeout), { timeout: 60_000, interval: 200 });
  return {
    async lift() {
      await cluster.kubectl(["delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", NAME]);
    },
  };
}

async function tried(cluster: Cluster): Promise<string> {
  const backup = {
    apiVersion: "velero.io/v1",
    kind: "Backup",
    metadata: { name: "trial", namespace: VELERO_NAMESPACE },
    spec: {},
  };
  const args = ["create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.csiSnapshotTimeout}"];
  const { stdout } = await cluster.kubectl(args, { input: JSON.stringify(backup) });
  return stdout;
}
