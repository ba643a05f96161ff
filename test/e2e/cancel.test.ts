import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Label } from "../../src/api/labels.ts";
import { veleroNames } from "../../src/api/names.ts";
import type { Operation } from "../../src/api/operation.ts";
import { testCluster } from "../cluster/testCluster.ts";
import { contentOf, installApplication } from "../scenario/application.ts";
import { killVelero, whileFinalizing, whileStoreHangs, whileVeleroIsDown } from "../scenario/hold.ts";
import { backupOperation, listObjects, readOperation, restoreOperation } from "../scenario/operations.ts";
import {
  annotate,
  awaitJob,
  awaitOperation,
  CANCEL,
  conditionsOf,
  filesUnder,
  messageOf,
  phaseIs,
  veleroObjectsOf,
} from "../scenario/outcome.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

/**
 * Velero cannot cancel: what a cancel leaves, in Velero's namespace and in the bucket, is looked at on the real thing.
 */

const cluster = testCluster();
const TEAM = "org-cancel";
/** For what can be waited for by looking only. */
const PATIENT = { timeout: 120_000 };
const CANCELLED = {
  Accepted: "True/TemplateValidated",
  Running: "False/CancelledByUser",
  Cancelled: "True/CancelledByUser",
};
const NOTHING_KEPT = "cancelled, no velero.io/Backup of this attempt is kept";

const until = (name: string, condition: string) => awaitOperation(cluster, TEAM, name, condition);
const apply = (name: string) => cluster.apply([backupOperation({ namespace: TEAM, name })]);
const cancel = (name: string) => annotate(cluster, TEAM, name, CANCEL);
const remove = (name: string) => cluster.kubectl(["delete", `operation/${name}`, "-n", TEAM]);
const backup = (name: string) => `backup.velero.io/${name}`;

/** Asks for a backup and waits until Velero is at it. The object store has to hang, so that it stays there. */
async function inProgress(name: string): Promise<Operation> {
  await apply(name);
  return await until(name, phaseIs("Running"));
}

/** Cancels a backup that Velero is at, and waits until its runner says that it has seen that. */
async function cancelSeen(name: string, namespace = TEAM): Promise<void> {
  await annotate(cluster, namespace, name, CANCEL);
  const message = async () => messageOf(await readOperation(cluster, namespace, name), "Running");
  await expect.poll(message, PATIENT).toMatch(/^cancel: /);
}

/** Works while a backup is held in Finalizing: the one of the Operation `name` that `which` names. */
async function whenFinalizing<T>(
  name: string,
  which: (operation: Operation) => string,
  work: (operation: Operation) => Promise<T>,
): Promise<T> {
  await cluster.objectStore.pause();
  try {
    const operation = await inProgress(name);
    return await whileFinalizing(cluster, name, async () => {
      await cluster.objectStore.resume();
      const held = ["-n", VELERO_NAMESPACE, backup(which(operation))];
      await waitFor(cluster, held, "create");
      await waitFor(cluster, held, "jsonpath={.status.phase}=Finalizing");
      return await work(operation);
    });
  } finally {
    await cluster.objectStore.resume();
  }
}

async function expectCancelled(name: string, message = NOTHING_KEPT): Promise<Operation> {
  const operation = await until(name, phaseIs("Failed"));
  expect(conditionsOf(operation)).toEqual(CANCELLED);
  expect(messageOf(operation, "Cancelled")).toBe(message);
  expect(operation.status?.reason).toBe("CancelledByUser");
  await awaitJob(cluster, operation, "Failed");
  expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
  return operation;
}

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

describe("a Backup that is cancelled", () => {
  it("before Velero has taken it up is gone at once", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await apply("never-begun");
      await until("never-begun", "jsonpath={.status.engineRef.uid}");
      await cancel("never-begun");
      await expectCancelled("never-begun");
    });
    expect(await filesUnder(cluster, "backups/never-begun/")).toEqual({});
  });

  it("while it waits for another does not disturb that one", async () => {
    await whileStoreHangs(cluster, async () => {
      await inProgress("ahead");
      await apply("behind");
      await until("behind", "jsonpath={.status.engineRef.uid}");
      await cancel("behind");
      await expectCancelled("behind");
    });
    await until("ahead", phaseIs("Succeeded"));
    expect(await filesUnder(cluster, "backups/behind/")).toEqual({});
    expect(await filesUnder(cluster, "backups/ahead/")).not.toEqual({});
  });

  it("while Velero is at it is waited for and then removed, its files too", async () => {
    await whileStoreHangs(cluster, async () => {
      await inProgress("midway");
      await cancelSeen("midway");
    });
    await expectCancelled("midway");
    expect(await filesUnder(cluster, "backups/midway/")).toEqual({});
  });

  it("while Velero finalizes it is removed, its files too", async () => {
    await whenFinalizing(
      "almost",
      () => "almost",
      async () => {
        await expect.poll(() => filesUnder(cluster, "backups/almost/"), PATIENT).not.toEqual({});
        await cancelSeen("almost");
      },
    );
    await expectCancelled("almost");
    expect(await filesUnder(cluster, "backups/almost/")).toEqual({});
  });

  it("and that fails because Velero was restarted leaves nothing either", async () => {
    await whileStoreHangs(cluster, async () => {
      await inProgress("broken-off");
      await cancelSeen("broken-off");
      await killVelero(cluster);
    });
    await expectCancelled("broken-off");
    expect(await filesUnder(cluster, "backups/broken-off/")).toEqual({});
  });

  it("after it was finished stays as it is", async () => {
    await apply("finished");
    const before = await until("finished", phaseIs("Succeeded"));
    const files = await filesUnder(cluster, "backups/finished/");
    await cancel("finished");
    // Whatever the dispatcher makes of that, it does before it takes up something newer.
    await apply("after-finished");
    await until("after-finished", phaseIs("Succeeded"));
    expect((await readOperation(cluster, TEAM, "finished")).status).toEqual(before.status);
    expect(await filesUnder(cluster, "backups/finished/")).toEqual(files);
    await waitFor(cluster, ["-n", VELERO_NAMESPACE, backup("finished")], "jsonpath={.status.phase}=Completed");
  });
});

describe("a Restore that is cancelled", () => {
  it("is deleted once its run is over, and what it restored stays", async () => {
    const target = "org-cancel-restored";
    await apply("source");
    await until("source", phaseIs("Succeeded"));
    const files = await filesUnder(cluster, "backups/source/");
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: target } }]);
    const parameters = { backupName: "source", namespaceMapping: { [TEAM]: target } };
    await whileStoreHangs(cluster, async () => {
      await cluster.apply([restoreOperation({ namespace: target, name: "back", parameters })]);
      const running = await awaitOperation(cluster, target, "back", phaseIs("Running"));
      expect(conditionsOf(running)).toMatchObject({ Running: "True/VeleroRestoreInProgress" });
      await cancelSeen("back", target);
    });
    const operation = await awaitOperation(cluster, target, "back", phaseIs("Failed"));
    expect(conditionsOf(operation)).toEqual(CANCELLED);
    expect(messageOf(operation, "Cancelled")).toBe(
      "cancelled, velero.io/Restore deleted; what it had restored until then stays",
    );
    expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    expect(await filesUnder(cluster, "restores/back/")).toEqual({});
    expect(await contentOf(cluster, target)).toEqual(await contentOf(cluster, TEAM));
    expect(await filesUnder(cluster, "backups/source/")).toEqual(files);
  });
});

describe("deleting the Operation", () => {
  it("while Velero is at its backup ends that like a cancel, and its Job is done", async () => {
    const operation = await whileStoreHangs(cluster, async () => {
      const running = await inProgress("dropped");
      await remove("dropped");
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
    await waitFor(cluster, ["-n", VELERO_NAMESPACE, backup("farewell")], "jsonpath={.status.completionTimestamp}");
    const [kept, ...others] = await veleroObjectsOf(cluster, operation);
    expect(kept?.metadata).toMatchObject({ name: "farewell", uid: operation.status?.engineRef?.uid });
    expect(others).toEqual([]);
    expect(await filesUnder(cluster, "backups/farewell/")).not.toEqual({});
  });
});

/** The object store keeps what the API server has lost: Velero finds files by name, whosever they are. */
describe("an older backup of the same name in the object store", () => {
  const FILES = "backups/nightly/";
  let older: Record<string, string>;

  beforeAll(async () => {
    // Otherwise Velero would bring the older backup's object back at a moment of its own choice.
    await patchLocation({ backupSyncPeriod: "0s" });
    await apply("nightly");
    await until("nightly", phaseIs("Succeeded"));
    older = await filesUnder(cluster, FILES);
    expect(Object.keys(older)).toContain("backups/nightly/velero-backup.json");
    await cluster.kubectl(["delete", backup("nightly"), "-n", VELERO_NAMESPACE]);
    return () => patchLocation({ backupSyncPeriod: null });
  });

  beforeEach(async () => {
    await remove("nightly");
    return async () => expect(await filesUnder(cluster, FILES), "the older backup's files").toEqual(older);
  });

  it("is left alone by a new one, which takes another name", async () => {
    await apply("nightly");
    const operation = await until("nightly", phaseIs("Succeeded"));
    const { outputs, engineRef } = operation.status ?? {};
    const name = engineRef?.name ?? "";
    expect(name).toMatch(/^nightly-[0-9a-f]{8}$/);
    expect(outputs?.backupName).toBe(name);
    expect((await veleroObjectsOf(cluster, operation)).map(({ metadata }) => metadata.name)).toEqual([name]);
    expect(await filesUnder(cluster, `backups/${name}/`)).not.toEqual({});
  });

  it("survives that the new one is cancelled before Velero has found that out", async () => {
    await whileStoreHangs(cluster, async () => {
      await inProgress("nightly");
      await cancelSeen("nightly");
    });
    await expectCancelled("nightly");
  });

  it("survives that the new one is cancelled and fails before Velero could find that out", async () => {
    await whileStoreHangs(cluster, async () => {
      await inProgress("nightly");
      await cancelSeen("nightly");
      await killVelero(cluster);
    });
    await expectCancelled("nightly");
  });

  it("survives that the new one is cancelled under its other name", async () => {
    const other = ({ metadata }: Operation) => veleroNames(metadata, 1)[1] ?? "";
    const name = await whenFinalizing("nightly", other, async (operation) => {
      await cancelSeen("nightly");
      return other(operation);
    });
    await expectCancelled("nightly");
    expect(await filesUnder(cluster, `backups/${name}/`)).toEqual({});
  });

  it("survives that the new Operation is deleted", async () => {
    const operation = await whileStoreHangs(cluster, async () => {
      const running = await inProgress("nightly");
      await remove("nightly");
      return running;
    });
    await awaitJob(cluster, operation, "Complete");
    expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
  });

  it("survives that Velero refuses the new one for another reason", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await apply("nightly");
      await until("nightly", "jsonpath={.status.engineRef.uid}");
      await patchLocation({ accessMode: "ReadOnly" });
    });
    try {
      const operation = await until("nightly", phaseIs("Failed"));
      expect(conditionsOf(operation)).toMatchObject({ Accepted: "False/VeleroBackupValidationFailed" });
      // At the end of its ttl it would take the older one's files with it.
      await awaitJob(cluster, operation, "Failed");
      expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    } finally {
      await patchLocation({ accessMode: null });
    }
  });
});

describe("a younger backup that has taken the name", () => {
  it("is not hit by the request to delete the cancelled one, which Velero would carry out by name", async () => {
    const younger = {
      apiVersion: "velero.io/v1",
      kind: "Backup",
      metadata: { name: "swapped", namespace: VELERO_NAMESPACE },
      spec: { includedNamespaces: [TEAM] },
    };
    await whileVeleroIsDown(cluster, async () => {
      await apply("swapped");
      const { metadata } = await until("swapped", "jsonpath={.status.engineRef.uid}");
      await veleroSays("swapped", "InProgress");
      await until("swapped", phaseIs("Running"));
      await cancelSeen("swapped");
      await veleroSays("swapped", "Completed");
      const requests = ["deletebackuprequests.velero.io", "-l", `${Label.operation}=${metadata.uid}`];
      await waitFor(cluster, ["-n", VELERO_NAMESPACE, ...requests], "create");
      // The runner must not see the moment in which nobody has the name.
      const runner = await runnerPodOf("swapped");
      await cluster.killPod(SYSTEM_NAMESPACE, runner, "SIGSTOP");
      await cluster.kubectl(["delete", backup("swapped"), "-n", VELERO_NAMESPACE]);
      await cluster.apply([younger]);
      await cluster.killPod(SYSTEM_NAMESPACE, runner, "SIGCONT");
      await expectCancelled("swapped", `${NOTHING_KEPT}; another backup has its name now, which was left alone`);
    });
    await waitFor(cluster, ["-n", VELERO_NAMESPACE, backup("swapped")], "jsonpath={.status.phase}=Completed");
    expect(await filesUnder(cluster, "backups/swapped/")).not.toEqual({});
  });
});

/** Plays Velero's part while it is down. */
async function veleroSays(name: string, phase: string): Promise<void> {
  const status = JSON.stringify({ status: { phase } });
  const said = await cluster.kubectl(["patch", backup(name), "-n", VELERO_NAMESPACE, "--type=merge", "-p", status]);
  if (said.code !== 0) throw new Error(said.stderr);
}

async function runnerPodOf(name: string): Promise<string> {
  const pods = await listObjects(cluster, [
    "pods",
    "-n",
    SYSTEM_NAMESPACE,
    "-l",
    `${Label.operationName}=${name},${Label.operationNamespace}=${TEAM}`,
  ]);
  expect(pods).toHaveLength(1);
  return pods[0]?.metadata.name ?? "";
}

async function patchLocation(spec: object): Promise<void> {
  const patch = JSON.stringify({ spec });
  const location = ["patch", "backupstoragelocation/default", "-n", VELERO_NAMESPACE, "--type=merge", "-p", patch];
  const patched = await cluster.kubectl(location);
  if (patched.code !== 0) throw new Error(patched.stderr);
}
