import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Operation } from "../../src/api/operation.ts";
import { printProgress } from "../cluster/progress.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { SNAPSHOT_BYTES, type SnapshotDriver } from "../csi/driver.ts";
import { startSnapshotDriver } from "../csi/startDriver.ts";
import { snapshotTimeout } from "../csi/timeout.ts";
import { csiVolume, nfsVolume, snapshotClass, storageClass } from "../csi/volumes.ts";
import { installApplication } from "../scenario/application.ts";
import { backupOperation, readOperation, restoreOperation } from "../scenario/operations.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";
import { describedResults, velero } from "../scenario/velero.ts";

const cluster = await ownCluster();
/** Holds one volume that can be snapshotted. */
const TEAM = "org-csi";
/** Holds one volume that cannot. */
const ARCHIVE = "org-nfs";

/** The first run on a machine builds the programs. */
const BUILD_TIMEOUT = 20 * 60_000;

async function start(namespace: string, name: string, parameters: Record<string, unknown>): Promise<void> {
  await cluster.apply([backupOperation({ namespace, name, parameters })]);
}

async function succeeded(namespace: string, name: string): Promise<Operation> {
  await waitFor(cluster, [`operation/${name}`, "-n", namespace], "jsonpath={.status.phase}=Succeeded");
  return await readOperation(cluster, namespace, name);
}

async function carryOut(namespace: string, name: string, parameters: Record<string, unknown>): Promise<Operation> {
  await start(namespace, name, parameters);
  return await succeeded(namespace, name);
}

/** Restores a team's volumes over those that it has. */
async function restoredOver(backupName: string): Promise<NonNullable<Operation["status"]>> {
  const parameters = { backupName, includedResources: ["persistentvolumeclaims", "persistentvolumes"] };
  await cluster.apply([restoreOperation({ namespace: TEAM, name: "over", parameters })]);
  return (await succeeded(TEAM, "over")).status ?? {};
}

function condition(operation: Operation, type: string): object | undefined {
  return operation.status?.conditions?.find((each) => each.type === type);
}

describe.skipIf(lacks(cluster, "csi"))("volumes", () => {
  let driver: SnapshotDriver;

  beforeAll(async () => {
    await installPlatform(cluster, () => {});
    driver = await startSnapshotDriver(cluster, { env: process.env, progress: printProgress(process.stderr) });
    await installApplication(cluster, TEAM);
    await installApplication(cluster, ARCHIVE);
    await cluster.apply([
      storageClass,
      snapshotClass("fast", { byDefault: true }),
      snapshotClass("careful"),
      ...csiVolume(TEAM, "shop-data"),
      ...nfsVolume(ARCHIVE, "old-data"),
    ]);
    await waitFor(cluster, ["pvc/shop-data", "-n", TEAM], "jsonpath={.status.phase}=Bound");
    await waitFor(cluster, ["pvc/old-data", "-n", ARCHIVE], "jsonpath={.status.phase}=Bound");
  }, BUILD_TIMEOUT);

  afterAll(async () => {
    await driver?.stop();
  });

  it("are snapshotted through the named class, not the one Velero would take, and count in the size", async () => {
    const operation = await carryOut(TEAM, "careful", { csiSnapshotClassName: "careful" });
    const snapshots = await driver.snapshots();
    expect(snapshots).toEqual([
      { volume: `${TEAM}-shop-data`, parameters: expect.objectContaining({ class: "careful" }) },
    ]);
    const archive = (await cluster.objectStore.list("backups/careful/")).find(({ key }) =>
      key.endsWith("/careful.tar.gz"),
    );
    expect(operation.status?.outputs).toMatchObject({
      backupSizeBytes: String(SNAPSHOT_BYTES + (archive?.size ?? 0)),
      warnings: [],
    });
    expect(condition(operation, "Degraded")).toBeUndefined();
    expect(condition(operation, "Succeeded")).toMatchObject({ message: expect.stringContaining("5.0 GiB") });
  });

  it.skipIf(lacks(cluster, "mutating-policies"))(
    "of which the driver refuses a snapshot make the backup Degraded, in the words of Velero's command line",
    async () => {
      const timeout = await snapshotTimeout(cluster, "8s");
      await driver.refuse("the storage array is on fire");
      try {
        const operation = await carryOut(TEAM, "refused", { csiSnapshotClassName: "careful" });
        expect(condition(operation, "Succeeded")).toMatchObject({
          status: "True",
          reason: "VeleroBackupPartiallyFailed",
        });
        expect(condition(operation, "Degraded")).toMatchObject({ status: "True", reason: "PartialFailure" });
        const description = await velero(cluster, ["backup", "describe", "refused", "--details"]);
        expect(description).toContain("PartiallyFailed");
        const errors = describedResults(description, "Errors");
        const warnings = describedResults(description, "Warnings");
        expect(errors).not.toEqual([]);
        expect(z.array(z.string()).parse(operation.status?.outputs?.warnings).sort()).toEqual(
          [...errors.map((error) => `error: ${error}`), ...warnings].sort(),
        );
        expect(operation.status?.outputs).toMatchObject({
          errorCount: String(errors.length),
          warningCount: String(warnings.length),
        });
      } finally {
        await driver.refuse(undefined);
        await timeout.lift();
      }
    },
  );

  it("wait for the named class to appear", async () => {
    await start(TEAM, "patient", { csiSnapshotClassName: "still-to-come" });
    await waitFor(cluster, ["operation/patient", "-n", TEAM], "condition=Blocked");
    expect(condition(await readOperation(cluster, TEAM, "patient"), "Blocked")).toMatchObject({
      reason: "MissingVolumeSnapshotClass",
      message: expect.stringContaining("still-to-come"),
    });
    await cluster.apply([snapshotClass("still-to-come")]);
    const operation = await succeeded(TEAM, "patient");
    expect(condition(operation, "Blocked")).toMatchObject({ status: "False" });
    expect((await driver.snapshots()).at(-1)?.parameters).toMatchObject({ class: "still-to-come" });
  });

  it("whose claims are there already are left out by a restore, which is Degraded", async () => {
    const { phase, conditions } = await restoredOver("careful");
    expect(phase).toBe("Succeeded");
    expect(conditions?.find(({ type }) => type === "Degraded")).toMatchObject({
      status: "True",
      message: expect.stringContaining(`volumes not restored: ${TEAM}/shop-data (its claim`),
    });
  });

  it("that were left out though nobody asked for it make the backup Degraded", async () => {
    const operation = await carryOut(ARCHIVE, "asked-for-all", {});
    expect(condition(operation, "Succeeded")).toMatchObject({ status: "True", reason: "VeleroBackupCompleted" });
    expect(condition(operation, "Degraded")).toMatchObject({
      status: "True",
      reason: "VolumesSkipped",
      message: expect.stringContaining("old-data"),
    });
  });

  it("that were to be left out do not", async () => {
    const operation = await carryOut(ARCHIVE, "asked-for-less", { snapshotVolumes: false });
    expect(condition(operation, "Succeeded")).toMatchObject({ status: "True", reason: "VeleroBackupCompleted" });
    expect(condition(operation, "Degraded")).toBeUndefined();
  });
});
