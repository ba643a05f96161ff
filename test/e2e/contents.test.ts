import { beforeAll, describe, expect, it } from "vitest";
import type { Operation } from "../../src/api/operation.ts";
import { ownCluster } from "../cluster/testCluster.ts";
import { nfsVolume } from "../csi/volumes.ts";
import { installApplication } from "../scenario/application.ts";
import { backupOperation, restoreOperation } from "../scenario/operations.ts";
import { awaitOperation, conditionsOf, messageOf, phaseIs } from "../scenario/outcome.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";
import { describedFates, velero } from "../scenario/velero.ts";

/** What of a namespace really came into a backup, and back out of it, where Velero calls either Completed. */

const cluster = await ownCluster();
const TEAM = "org-contents";
/** Has a bound claim, and no pod that mounts it. */
const UNMOUNTED = "org-unmounted";

async function backUp(namespace: string, name: string, parameters = {}): Promise<Operation> {
  await cluster.apply([backupOperation({ namespace, name, parameters })]);
  return await awaitOperation(cluster, namespace, name, phaseIs("Succeeded"));
}

async function bringBack(name: string, parameters: { backupName: string; [more: string]: unknown }) {
  await cluster.apply([restoreOperation({ namespace: TEAM, name, parameters })]);
  const operation = await awaitOperation(cluster, TEAM, name, phaseIs("Succeeded"));
  return { operation, fates: describedFates(await velero(cluster, ["restore", "describe", name, "--details"])) };
}

/** As many of each as Velero's own command line tells. */
function counts(fates: Record<string, number>): Record<string, string> {
  const { created = 0, updated = 0, skipped = 0, failed = 0 } = fates;
  return {
    restoreItemCount: String(created + updated + skipped + failed),
    restoreCreatedCount: String(created),
    restoreUpdatedCount: String(updated),
    restoreSkippedCount: String(skipped),
    restoreFailedCount: String(failed),
  };
}

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  await installApplication(cluster, UNMOUNTED);
  await cluster.apply(nfsVolume(UNMOUNTED, "ledger"));
  await waitFor(cluster, ["pvc/ledger", "-n", UNMOUNTED], "jsonpath={.status.phase}=Bound");
  await backUp(TEAM, "whole");
});

describe("a backup of a bound claim that no pod mounts", () => {
  it("is Degraded where file systems were to be copied and no snapshots taken", async () => {
    const operation = await backUp(UNMOUNTED, "copied", { defaultVolumesToFsBackup: true, snapshotVolumes: false });
    expect(conditionsOf(operation)).toMatchObject({
      Succeeded: "True/VeleroBackupCompleted",
      Degraded: "True/VolumesSkipped",
    });
    expect(messageOf(operation, "Degraded")).toContain(`${UNMOUNTED}/ledger`);
  });

  it("is as it was wanted where no data was asked for", async () => {
    const operation = await backUp(UNMOUNTED, "without", { snapshotVolumes: false });
    expect(conditionsOf(operation)).toMatchObject({ Succeeded: "True/VeleroBackupCompleted" });
    expect(conditionsOf(operation)).not.toHaveProperty("Degraded");
  });
});

describe("a restore over what exists", () => {
  it("is Degraded when not one item was touched, and tells what there was instead", async () => {
    const { operation, fates } = await bringBack("over", { backupName: "whole", includedResources: ["configmaps"] });
    expect(fates.created ?? 0).toBe(0);
    expect(operation.status?.outputs).toMatchObject(counts(fates));
    expect(conditionsOf(operation)).toMatchObject({
      Succeeded: "True/VeleroRestoreCompleted",
      Degraded: "True/NothingRestored",
    });
    expect(messageOf(operation, "Degraded")).toMatch(/^nothing was created or updated: \d+ skipped/);
    expect(operation.status?.outputs?.skippedItems).toContain(`v1/ConfigMap ${TEAM}/shop-texts`);
  });

  it("tells what it brought back, beside what was there", async () => {
    await cluster.kubectl(["delete", "configmap/shop-texts", "-n", TEAM]);
    const { operation, fates } = await bringBack("one", { backupName: "whole", includedResources: ["configmaps"] });
    expect(fates.created).toBe(1);
    expect(operation.status?.outputs).toMatchObject(counts(fates));
    expect(messageOf(operation, "Succeeded")).toMatch(
      /^velero\.io\/Restore completed; \d+ items \(1 created, \d+ skipped/,
    );
    expect(conditionsOf(operation)).not.toHaveProperty("Degraded");
    expect(operation.status?.outputs?.skippedItems).not.toContain(`v1/ConfigMap ${TEAM}/shop-texts`);
  });

  it("names what is there and different", async () => {
    const different = { data: { welcome: "Closed" } };
    const patch = ["patch", "configmap/shop-texts", "-n", TEAM, "--type=merge", "-p", JSON.stringify(different)];
    await cluster.kubectl(patch);
    const untouched = await bringBack("kept", { backupName: "whole", includedResources: ["configmaps"] });
    expect(untouched.operation.status?.outputs).toMatchObject({
      ...counts(untouched.fates),
      failedItems: [`v1/ConfigMap ${TEAM}/shop-texts`],
    });
    const parameters = { backupName: "whole", includedResources: ["configmaps"], existingResourcePolicy: "update" };
    const changed = await bringBack("changed", parameters);
    expect(changed.operation.status?.outputs).toMatchObject({
      ...counts(changed.fates),
      updatedItems: [`v1/ConfigMap ${TEAM}/shop-texts`],
    });
    expect(conditionsOf(changed.operation)).not.toHaveProperty("Degraded");
  });
});

describe("a restore that waits for a hook", () => {
  const namespace = "org-hooked";

  it("says so for as long as it does, and tells in the end what became of it", async () => {
    await installApplication(cluster, namespace);
    await cluster.apply([podThatNeverRuns(namespace)]);
    await backUp(namespace, "hooked", { includedResources: ["pods"], snapshotVolumes: false });
    await cluster.kubectl(["delete", "pod/never-runs", "-n", namespace, "--wait"]);
    await cluster.apply([restoreOperation({ namespace, name: "waits", parameters: { backupName: "hooked" } })]);
    const message = "jsonpath={.status.conditions[?(@.type=='Running')].message}";
    const running = `velero.io/Restore is in phase Finalizing; ${WAITS}`;
    await awaitOperation(cluster, namespace, "waits", `${message}=${running}`);
    const operation = await awaitOperation(cluster, namespace, "waits", phaseIs("Succeeded"));
    expect(conditionsOf(operation)).toMatchObject({ Degraded: "True/PartialFailure" });
  });
});

const WAITS =
  "in this phase Velero waits for restored claims to be bound and for hooks in restored pods to run, of this Restore or of an earlier one, and does not say which";

/** Velero is told to run something in it once it is restored, and waits a while for that. */
function podThatNeverRuns(namespace: string): object {
  const hook = "post.hook.restore.velero.io";
  const annotations = {
    [`${hook}/container`]: "app",
    [`${hook}/command`]: '["/bin/true"]',
    [`${hook}/on-error`]: "Fail",
    [`${hook}/wait-timeout`]: "20s",
  };
  const containers = [{ name: "app", image: "registry.example.com/no-such-image:1" }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "never-runs", namespace, annotations },
    spec: { containers },
  };
}
