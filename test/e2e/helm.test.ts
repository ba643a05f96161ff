import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { shippedVelero, veleroModule } from "../cluster/veleroVersion.ts";
import { installApplication } from "../scenario/application.ts";
import { CHART, type Helm, helmFor } from "../scenario/helm.ts";
import { whileStoreHangs } from "../scenario/interruptVelero.ts";
import { listObjects, readOperation } from "../scenario/operations.ts";
import { conditionsOf, phaseIs, veleroObjectsOf } from "../scenario/outcome.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { teamIn } from "../scenario/team.ts";

// Everything by the chart alone. It brings one version of Velero.
const cluster = await ownCluster();
const isTested = veleroModule(process.env) === shippedVelero && !lacks(cluster, "pause-object-store");
const TEAM = "org-helm";
const team = teamIn(cluster, TEAM);
const dispatcher = ["deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE];
let home: string;
let helm: Helm;

async function release(verb: string, ...args: string[]): Promise<void> {
  const result = await helm(verb, "operation-runner", "-n", SYSTEM_NAMESPACE, ...args);
  expect(result, result.stderr).toMatchObject({ code: 0 });
}
const set = (values: string) => [
  CHART,
  "--set",
  `velero.enabled=true,components.applicationInstanceCrd=true,${values}`,
];

describe.skipIf(!isTested)("installed by Helm", () => {
  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), "helm-"));
    helm = await helmFor(cluster, home);
    await release("install", "--create-namespace", ...set("settings.limits.maxConcurrent=5"));
    await waitFor(cluster, ["crd", "--all"], "condition=Established");
    await cluster.objectStore.connectVelero(VELERO_NAMESPACE);
    await waitFor(cluster, ["deployment/velero", "-n", VELERO_NAMESPACE], "condition=Available");
    await waitFor(cluster, dispatcher, "condition=Available");
    await installApplication(cluster, TEAM);
  });
  afterAll(() => rm(home, { recursive: true }));

  it("a backup goes on through an upgrade that replaces the dispatcher, and is kept when all is uninstalled", async () => {
    await whileStoreHangs(cluster, async () => {
      const before = await team.inProgress("upgraded");
      const pods = async () => {
        const running = await listObjects(cluster, [
          "pods",
          "-n",
          SYSTEM_NAMESPACE,
          "-l",
          "app.kubernetes.io/component=dispatcher",
        ]);
        return running.map(({ metadata }) => metadata.name);
      };
      const [old] = await pods();
      await release("upgrade", ...set("settings.limits.maxConcurrent=6,dispatcher.podAnnotations.upgrade=second"));
      await waitFor(cluster, [`pod/${old}`, "-n", SYSTEM_NAMESPACE], "delete");
      await waitFor(cluster, dispatcher, "condition=Available");
      expect(await pods()).not.toContain(old);
      const { status } = await readOperation(cluster, TEAM, "upgraded");
      expect(status?.runner).toMatchObject({ attempt: 1, jobName: before.status?.runner?.jobName });
    });
    const operation = await team.until("upgraded", phaseIs("Succeeded"));
    expect(conditionsOf(operation)).toMatchObject({ Succeeded: "True/VeleroBackupCompleted" });
    expect(operation.status?.runner?.jobUIDs).toHaveLength(1);
    expect(await veleroObjectsOf(cluster, operation)).toHaveLength(1);

    await release("uninstall");
    await waitFor(cluster, dispatcher, "delete");
    expect((await readOperation(cluster, TEAM, "upgraded")).status?.phase).toBe("Succeeded");
    expect(await veleroObjectsOf(cluster, operation)).toHaveLength(1);
  });
});
