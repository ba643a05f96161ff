import { beforeAll, describe, expect, it, vi } from "vitest";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { backupOperation } from "../scenario/operations.ts";
import { awaitOperation, phaseIs } from "../scenario/outcome.ts";
import { installPlatform, systemKubectl } from "../scenario/platform.ts";
import { jobsOf, runnerPodOf } from "../scenario/runners.ts";
import { changeTemplates } from "../scenario/templates.ts";

/**
 * A kubelet replaces a pod's token before it expires, and whoever has read it once only is locked out then. No token may
 * live for less than ten minutes, so that is how long this takes.
 */

const cluster = await ownCluster();
const TEAM = "org-token";
const DISPATCHER = "operation-dispatcher";
const MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The shortest that the API server allows. */
const LIFETIME_SECONDS = 600;
const PATIENT = { timeout: 30 * 60_000 };

describe.skipIf(lacks(cluster, "real-kubelet"))("a token that is replaced", PATIENT, () => {
  beforeAll(async () => {
    await installPlatform(cluster, () => {});
    await installApplication(cluster, TEAM);
    await changeTemplates(cluster, ({ spec }) => {
      const pod = spec.template.spec;
      pod.volumes = [...(pod.volumes ?? []), volume];
      pod.containers[0].volumeMounts = [...(pod.containers[0].volumeMounts ?? []), mount];
    });
    const container = { name: "dispatcher", volumeMounts: [mount] };
    const patch = JSON.stringify({ spec: { template: { spec: { volumes: [volume], containers: [container] } } } });
    await kubectl("patch", "deployment", DISPATCHER, "--type=strategic", "-p", patch);
    await kubectl("rollout", "status", `deployment/${DISPATCHER}`, "--timeout=180s");
  }, PATIENT.timeout);

  it("is taken up by a runner and by the dispatcher that work for longer than the first one lives", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await ask("long");
      await awaitOperation(cluster, TEAM, "long", "jsonpath={.status.engineRef.uid}");
      const runner = `pod/${await runnerPodOf(cluster, TEAM, "long")}`;
      const first = await Promise.all([runner, `deployment/${DISPATCHER}`].map((pod) => tokenOf(pod)));
      expect(first.map(({ exp, iat }) => exp - iat)).toEqual([LIFETIME_SECONDS, LIFETIME_SECONDS]);
      await vi.waitFor(
        async () => {
          const now = await Promise.all([runner, `deployment/${DISPATCHER}`].map((pod) => tokenOf(pod)));
          for (const [i, { iat }] of now.entries()) expect(iat).toBeGreaterThan(first[i]?.iat ?? 0);
          // By the clock that counts, the API server's: it does not take the first ones any more.
          for (const { token } of first) expect(await isTaken(token)).toBe(false);
        },
        { timeout: 20 * 60_000, interval: 5_000 },
      );
    });
    const { status, ...operation } = await awaitOperation(cluster, TEAM, "long", phaseIs("Succeeded"));
    expect(status?.runner).toMatchObject({ attempt: 1, jobUIDs: [expect.any(String)] });
    const [job] = await jobsOf(cluster, operation);
    expect(job).not.toMatchObject({ status: { failed: expect.any(Number) } });
    await ask("afterwards");
    await awaitOperation(cluster, TEAM, "afterwards", phaseIs("Succeeded"));
    const restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    expect(await kubectl("get", "pods", "-l", "app.kubernetes.io/component=dispatcher", "-o", restarts)).toBe("0");
  });
});

/** What a kubelet mounts by itself, but for the lifetime. */
const volume = {
  name: "short-lived-token",
  projected: {
    sources: [
      { serviceAccountToken: { path: "token", expirationSeconds: LIFETIME_SECONDS } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
    ],
  },
};
const mount = { name: volume.name, mountPath: MOUNT, readOnly: true };

const kubectl = (...args: string[]) => systemKubectl(cluster, ...args);
const ask = (name: string) => cluster.apply([backupOperation({ namespace: TEAM, name })]);

/** The token that a pod has now, and its times in seconds. */
async function tokenOf(pod: string): Promise<{ token: string; iat: number; exp: number }> {
  const script = `process.stdout.write(fs.readFileSync("${MOUNT}/token"))`;
  const token = await kubectl("exec", pod, "--", "/nodejs/bin/node", "-e", script);
  const { iat, exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  return { token, iat, exp };
}

/** Whether the API server still accepts a token. */
async function isTaken(token: string): Promise<boolean> {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const args = ["create", "-f", "-", "-o", "jsonpath={.status.authenticated}"];
  const { stdout } = await cluster.kubectl(args, { input: JSON.stringify(review) });
  return stdout === "true";
}
