import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Label } from "../../src/api/labels.ts";
import { veleroNames } from "../../src/api/names.ts";
import type { Operation } from "../../src/api/operation.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { killVelero, whileStoreHangs, whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { backupOperation } from "../scenario/operations.ts";
import { awaitJob, conditionsOf, filesUnder, phaseIs, veleroObjectsOf } from "../scenario/outcome.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { runnerPodOf } from "../scenario/runners.ts";
import { NOTHING_KEPT, teamIn } from "../scenario/team.ts";

/**
 * Velero finds a backup's files by name, whosever they are. Each of these would lose somebody's data if a cancel did so
 * too. docs/velero-facts.md#data-loss-traps.
 */

const cluster = await ownCluster();
const TEAM = "org-traps";
const team = teamIn(cluster, TEAM);

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

/** The object store keeps what the API server has lost. */
describe.skipIf(lacks(cluster, "kill-pod", "pause-object-store"))(
  "an older backup of the same name in the object store",
  () => {
    const FILES = "backups/nightly/";
    let older: Record<string, string>;

    beforeAll(async () => {
      // Otherwise Velero would bring the older backup's object back at a moment of its own choice.
      await patchLocation({ backupSyncPeriod: "0s" });
      await team.apply("nightly");
      await team.until("nightly", phaseIs("Succeeded"));
      older = await filesUnder(cluster, FILES);
      expect(Object.keys(older)).toContain("backups/nightly/velero-backup.json");
      await cluster.kubectl(["delete", "backup.velero.io/nightly", "-n", VELERO_NAMESPACE]);
      return () => patchLocation({ backupSyncPeriod: null });
    });

    beforeEach(async () => {
      await team.remove("nightly");
      return async () => expect(await filesUnder(cluster, FILES), "the older backup's files").toEqual(older);
    });

    it("is left alone by a new one, which takes another name", async () => {
      await team.apply("nightly");
      const operation = await team.until("nightly", phaseIs("Succeeded"));
      const { outputs, engineRef } = operation.status ?? {};
      const name = engineRef?.name ?? "";
      expect(name).toMatch(/^nightly-[0-9a-f]{8}$/);
      expect(outputs?.backupName).toBe(name);
      expect((await veleroObjectsOf(cluster, operation)).map(({ metadata }) => metadata.name)).toEqual([name]);
      expect(await filesUnder(cluster, `backups/${name}/`)).not.toEqual({});
    });

    it("survives that the new one is cancelled before Velero has found that out", async () => {
      await whileStoreHangs(cluster, async () => {
        await team.inProgress("nightly");
        await team.cancelSeen("nightly");
      });
      await team.expectCancelled("nightly");
    });

    it("survives that the new one is cancelled and fails before Velero could find that out", async () => {
      await whileStoreHangs(cluster, async () => {
        await team.inProgress("nightly");
        await team.cancelSeen("nightly");
        await killVelero(cluster);
      });
      await team.expectCancelled("nightly");
    });

    it("survives that the new one fails before Velero could find that out, for good", async () => {
      await whileStoreHangs(cluster, async () => {
        await team.inProgress("nightly");
        await killVelero(cluster);
      });
      const operation = await team.until("nightly", phaseIs("Failed"));
      expect(conditionsOf(operation)).toMatchObject({ Failed: "True/VeleroBackupFailed" });
      // At the end of its ttl it would take the older one's files with it.
      await awaitJob(cluster, operation, "Failed");
      expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    });

    it("survives that the new one is cancelled under its other name", async () => {
      const other = ({ metadata }: Operation) => veleroNames(metadata, 1)[1] ?? "";
      const name = await team.whenFinalizing("nightly", other, async (operation) => {
        await team.cancelSeen("nightly");
        return other(operation);
      });
      await team.expectCancelled("nightly");
      expect(await filesUnder(cluster, `backups/${name}/`)).toEqual({});
    });

    it("survives that the new Operation is deleted", async () => {
      const operation = await whileStoreHangs(cluster, async () => {
        const running = await team.inProgress("nightly");
        await team.remove("nightly");
        return running;
      });
      await awaitJob(cluster, operation, "Complete");
      expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    });

    it("survives that Velero refuses the new one for another reason", async () => {
      // Velero refuses a kind that is both to be in it and to be left out.
      const parameters = { includedResources: ["configmaps"], excludedResources: ["configmaps"] };
      await cluster.apply([backupOperation({ namespace: TEAM, name: "nightly", parameters })]);
      const operation = await team.until("nightly", phaseIs("Failed"));
      expect(conditionsOf(operation)).toMatchObject({ Accepted: "False/VeleroBackupValidationFailed" });
      await awaitJob(cluster, operation, "Failed");
      expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    });
  },
);

describe.skipIf(lacks(cluster, "kill-pod"))("a younger backup that has taken the name", () => {
  it("is not hit by the request to delete the cancelled one, which Velero would carry out by name", async () => {
    const younger = {
      apiVersion: "velero.io/v1",
      kind: "Backup",
      metadata: { name: "swapped", namespace: VELERO_NAMESPACE },
      spec: { includedNamespaces: [TEAM] },
    };
    await whileVeleroIsDown(cluster, async () => {
      await team.apply("swapped");
      const { metadata } = await team.until("swapped", "jsonpath={.status.engineRef.uid}");
      await veleroSays("swapped", "InProgress");
      await team.until("swapped", phaseIs("Running"));
      await team.cancelSeen("swapped");
      await veleroSays("swapped", "Completed");
      const requests = ["deletebackuprequests.velero.io", "-l", `${Label.operation}=${metadata.uid}`];
      await waitFor(cluster, ["-n", VELERO_NAMESPACE, ...requests], "create");
      // The runner must not see the moment in which nobody has the name.
      const runner = await runnerPodOf(cluster, TEAM, "swapped");
      await cluster.killPod(SYSTEM_NAMESPACE, runner, "SIGSTOP");
      await cluster.kubectl(["delete", "backup.velero.io/swapped", "-n", VELERO_NAMESPACE]);
      await cluster.apply([younger]);
      await cluster.killPod(SYSTEM_NAMESPACE, runner, "SIGCONT");
      await team.expectCancelled("swapped", `${NOTHING_KEPT}; another Backup has its name now and was left alone`);
    });
    await waitFor(cluster, ["-n", VELERO_NAMESPACE, "backup.velero.io/swapped"], "jsonpath={.status.phase}=Completed");
    expect(await filesUnder(cluster, "backups/swapped/")).not.toEqual({});
  });
});

/** Plays Velero's part while it is down. */
async function veleroSays(name: string, phase: string): Promise<void> {
  const status = JSON.stringify({ status: { phase } });
  const said = await cluster.kubectl([
    "patch",
    `backup.velero.io/${name}`,
    "-n",
    VELERO_NAMESPACE,
    "--type=merge",
    "-p",
    status,
  ]);
  if (said.code !== 0) throw new Error(said.stderr);
}

async function patchLocation(spec: object): Promise<void> {
  const patch = JSON.stringify({ spec });
  const location = ["patch", "backupstoragelocation/default", "-n", VELERO_NAMESPACE, "--type=merge", "-p", patch];
  const patched = await cluster.kubectl(location);
  if (patched.code !== 0) throw new Error(patched.stderr);
}
