import { beforeAll, describe, expect, it } from "vitest";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { contentOf, installApplication } from "../scenario/application.ts";
import { killVelero, whileStoreHangs, whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { backupOperation, readOperation, restoreOperation } from "../scenario/operations.ts";
import {
  awaitJob,
  awaitOperation,
  conditionsOf,
  filesUnder,
  messageOf,
  phaseIs,
  veleroObjectsOf,
} from "../scenario/outcome.ts";
import { installPlatform, systemKubectl, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { CANCELLED, PATIENT, teamIn } from "../scenario/team.ts";

/**
 * Velero cannot cancel: what a cancel leaves, in Velero's namespace and in the bucket, is looked at on the real thing.
 */

const cluster = await ownCluster();
const TEAM = "org-cancel";
const team = teamIn(cluster, TEAM);

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

describe.skipIf(lacks(cluster, "kill-pod", "pause-object-store"))("a Backup that is cancelled", () => {
  it("before Velero has taken it up is gone at once", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await team.apply("never-begun");
      await team.until("never-begun", "jsonpath={.status.engineRef.uid}");
      await team.cancel("never-begun");
      await team.expectCancelled("never-begun");
    });
    expect(await filesUnder(cluster, "backups/never-begun/")).toEqual({});
  });

  it("while it waits for another does not disturb that one", async () => {
    await whileStoreHangs(cluster, async () => {
      await team.inProgress("ahead");
      await team.apply("behind");
      await team.until("behind", "jsonpath={.status.engineRef.uid}");
      await team.cancel("behind");
      await team.expectCancelled("behind");
    });
    await team.until("ahead", phaseIs("Succeeded"));
    expect(await filesUnder(cluster, "backups/behind/")).toEqual({});
    expect(await filesUnder(cluster, "backups/ahead/")).not.toEqual({});
  });

  it("while Velero is at it is waited for and then removed, its files too", async () => {
    await whileStoreHangs(cluster, async () => {
      await team.inProgress("midway");
      await team.cancelSeen("midway");
    });
    await team.expectCancelled("midway");
    expect(await filesUnder(cluster, "backups/midway/")).toEqual({});
  });

  it("while Velero finalizes it is removed, its files too", async () => {
    await team.whenFinalizing(
      "almost",
      () => "almost",
      async () => {
        await expect.poll(() => filesUnder(cluster, "backups/almost/"), PATIENT).not.toEqual({});
        await team.cancelSeen("almost");
      },
    );
    await team.expectCancelled("almost");
    expect(await filesUnder(cluster, "backups/almost/")).toEqual({});
  });

  it("and that fails because Velero was restarted leaves nothing either", async () => {
    await whileStoreHangs(cluster, async () => {
      await team.inProgress("broken-off");
      await team.cancelSeen("broken-off");
      await killVelero(cluster);
    });
    await team.expectCancelled("broken-off");
    expect(await filesUnder(cluster, "backups/broken-off/")).toEqual({});
  });

  it("while a queue holds its Job back goes once there is a runner, although Velero has completed it by then", async () => {
    const suspend = (job: string, held: boolean) =>
      systemKubectl(cluster, "patch", "job", job, "--type=merge", "-p", JSON.stringify({ spec: { suspend: held } }));
    const job = await whileStoreHangs(cluster, async () => {
      const { status } = await team.inProgress("held-back");
      const name = status?.runner?.jobName ?? "";
      await suspend(name, true);
      await team.until("held-back", "jsonpath={.status.conditions[?(@.type=='Running')].reason}=JobSuspended");
      await team.cancel("held-back");
      const seen = await team.until("held-back", "condition=Cancelled=Unknown");
      expect(messageOf(seen, "Cancelled")).toMatch(
        /^cancel requested, but no runner is at work yet to carry it out: JobSuspended: /,
      );
      return name;
    });
    const backup = ["-n", VELERO_NAMESPACE, "backup.velero.io/held-back"];
    await waitFor(cluster, backup, "jsonpath={.status.phase}=Completed");
    await suspend(job, false);
    await team.expectCancelled("held-back");
    expect(await filesUnder(cluster, "backups/held-back/")).toEqual({});
  });

  it("after it was finished stays as it is", async () => {
    await team.apply("finished");
    const before = await team.until("finished", phaseIs("Succeeded"));
    const files = await filesUnder(cluster, "backups/finished/");
    await team.cancel("finished");
    // Whatever the dispatcher makes of that, it does before it takes up something newer.
    await team.apply("after-finished");
    await team.until("after-finished", phaseIs("Succeeded"));
    expect((await readOperation(cluster, TEAM, "finished")).status).toEqual(before.status);
    expect(await filesUnder(cluster, "backups/finished/")).toEqual(files);
    await waitFor(cluster, ["-n", VELERO_NAMESPACE, "backup.velero.io/finished"], "jsonpath={.status.phase}=Completed");
  });
});

describe.skipIf(lacks(cluster, "pause-object-store"))("a Restore that is cancelled", () => {
  it("is deleted once its run is over, and what it restored stays", async () => {
    const target = "org-cancel-restored";
    await team.apply("source");
    await team.until("source", phaseIs("Succeeded"));
    const files = await filesUnder(cluster, "backups/source/");
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: target } }]);
    const parameters = { backupName: "source", namespaceMapping: { [TEAM]: target } };
    await whileStoreHangs(cluster, async () => {
      await cluster.apply([restoreOperation({ namespace: target, name: "back", parameters })]);
      const running = await awaitOperation(cluster, target, "back", phaseIs("Running"));
      expect(conditionsOf(running)).toMatchObject({ Running: "True/VeleroRestoreInProgress" });
      await teamIn(cluster, target).cancelSeen("back");
    });
    const operation = await awaitOperation(cluster, target, "back", phaseIs("Failed"));
    expect(conditionsOf(operation)).toEqual(CANCELLED);
    expect(messageOf(operation, "Cancelled")).toBe(
      "cancelled, velero.io/Restore deleted; the objects that it had restored until then stay",
    );
    expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    expect(await filesUnder(cluster, "restores/back/")).toEqual({});
    expect(await contentOf(cluster, target)).toEqual(await contentOf(cluster, TEAM));
    expect(await filesUnder(cluster, "backups/source/")).toEqual(files);
  });
});

describe.skipIf(lacks(cluster, "pause-object-store"))("deleting the Operation", () => {
  it("while Velero is at its backup ends that like a cancel, and its Job is done", async () => {
    const operation = await whileStoreHangs(cluster, async () => {
      const running = await team.inProgress("dropped");
      await team.remove("dropped");
      return running;
    });
    await awaitJob(cluster, operation, "Complete");
    expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    expect(await filesUnder(cluster, "backups/dropped/")).toEqual({});
  });

  it("with its whole namespace cancels nothing: the backup is needed now", async () => {
    const namespace = "org-cancel-leaving";
    await installApplication(cluster, namespace);
    const operation = await whileStoreHangs(cluster, async () => {
      await cluster.apply([backupOperation({ namespace, name: "farewell" })]);
      const running = await awaitOperation(cluster, namespace, "farewell", phaseIs("Running"));
      await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
      await waitFor(cluster, [`operation/farewell`, "-n", namespace], "delete");
      return running;
    });
    await awaitJob(cluster, operation, "Complete");
    // Completed or not: that depends on how much Velero still found.
    await waitFor(
      cluster,
      ["-n", VELERO_NAMESPACE, "backup.velero.io/farewell"],
      "jsonpath={.status.completionTimestamp}",
    );
    const [kept, ...others] = await veleroObjectsOf(cluster, operation);
    expect(kept?.metadata).toMatchObject({ name: "farewell", uid: operation.status?.engineRef?.uid });
    expect(others).toEqual([]);
    expect(await filesUnder(cluster, "backups/farewell/")).not.toEqual({});
  });
});
