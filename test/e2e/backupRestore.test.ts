import { beforeAll, describe, expect, it } from "vitest";
import { Label } from "../../src/api/labels.ts";
import type { Operation } from "../../src/api/operation.ts";
import type { KubeObject } from "../../src/kube/metadata.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { veleroVersion } from "../cluster/toolchain/programs.ts";
import { contentOf, installApplication } from "../scenario/application.ts";
import { backupOperation, listObjects, readOperation, restoreOperation } from "../scenario/operations.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { describedResults, velero } from "../scenario/velero.ts";

const cluster = await ownCluster();
const TEAM = "org-myteam";
const STAGING = "org-myteam-staging";

/** Applies an Operation and waits for its end, as the README says. */
async function carryOut(namespace: string, name: string, manifest: object): Promise<Operation> {
  await cluster.apply([manifest]);
  await waitFor(cluster, [`operation/${name}`, "-n", namespace], "jsonpath={.status.phase}=Succeeded");
  return await readOperation(cluster, namespace, name);
}

function condition(operation: Operation, type: string): object | undefined {
  return operation.status?.conditions?.find((each) => each.type === type);
}

async function only(args: readonly string[]): Promise<KubeObject> {
  const [object, ...others] = await listObjects(cluster, args);
  if (object === undefined || others.length > 0) throw new Error(`kubectl get ${args.join(" ")}: not exactly one`);
  return object;
}

let backup: Operation;

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  backup = await carryOut(TEAM, "shop-backup", backupOperation({ namespace: TEAM, name: "shop-backup" }));
});

describe("Velero", () => {
  it("is the release that these tests were asked to run on", async () => {
    expect(await velero(cluster, ["version"])).toMatch(
      new RegExp(`Server:\\s+Version: ${await veleroVersion(process.env)}\\s`),
    );
  });
});

describe("a Backup", () => {
  it("ends with the conditions of the contract", () => {
    const { outputs } = backup.status ?? {};
    expect(condition(backup, "Accepted")).toMatchObject({ status: "True", reason: "TemplateValidated" });
    expect(condition(backup, "Running")).toMatchObject({ status: "False", reason: "VeleroBackupSucceeded" });
    expect(condition(backup, "Succeeded")).toMatchObject({
      status: "True",
      reason: "VeleroBackupCompleted",
      message: expect.stringMatching(
        new RegExp(`^velero\\.io/Backup completed; ${outputs?.backupItemCount} items, [\\d.]+ (B|KiB)$`),
      ),
    });
    expect(backup.status?.conditions?.map(({ type }) => type).sort()).toEqual(["Accepted", "Running", "Succeeded"]);
    expect(backup.status?.observedGeneration).toBe(backup.metadata.generation);
  });

  it("says what Velero's command line and the object store say", async () => {
    const outputs = backup.status?.outputs;
    const description = await velero(cluster, ["backup", "describe", "shop-backup", "--details"]);
    expect(description).toContain(`Items backed up:              ${outputs?.backupItemCount}`);
    const archive = (await cluster.objectStore.list("backups/shop-backup/")).find(({ key }) =>
      key.endsWith("shop-backup.tar.gz"),
    );
    expect(outputs).toEqual({
      backupName: "shop-backup",
      backupItemCount: expect.stringMatching(/^[1-9]\d*$/),
      backupSizeBytes: String(archive?.size),
      storageLocation: "default",
      warningCount: "0",
      errorCount: "0",
      warnings: [],
    });
  });

  it.skipIf(lacks(cluster, "audit"))(
    "is one Velero object with the ownership labels, written by us once and never again",
    async () => {
      const object = await only([
        "backups.velero.io",
        "-n",
        VELERO_NAMESPACE,
        "-l",
        `${Label.operation}=${backup.metadata.uid}`,
        "--show-managed-fields",
      ]);
      expect(object).toMatchObject({
        metadata: {
          name: "shop-backup",
          uid: backup.status?.engineRef?.uid,
          labels: {
            [Label.managedBy]: "vworkspace-operator",
            [Label.attempt]: "1",
            [Label.target]: "shop",
            [Label.applicationInstance]: "shop",
          },
          managedFields: expect.arrayContaining([expect.objectContaining({ manager: "vworkspace-operator" })]),
        },
        spec: { includedNamespaces: [TEAM], defaultVolumesToFsBackup: false },
      });
      const writes = (await cluster.audit()).filter(
        (event) =>
          event.objectRef?.apiGroup === "velero.io" &&
          event.objectRef.resource === "backups" &&
          JSON.stringify([event.objectRef, event.requestObject]).includes("shop-backup") &&
          event.user.username.includes(`:${SYSTEM_NAMESPACE}:`) &&
          !["get", "list", "watch"].includes(event.verb),
      );
      expect(writes.map(({ verb, responseStatus, user }) => [verb, responseStatus?.code, user.username])).toEqual([
        ["create", 201, `system:serviceaccount:${SYSTEM_NAMESPACE}:operation-backup-runner`],
      ]);
    },
  );

  it("is one Job that kubectl get jobs shows, found by the Operation's name, with its log", async () => {
    const job = backup.status?.runner?.jobName ?? "";
    const selector = `${Label.operationName}=shop-backup`;
    await waitFor(cluster, ["jobs", "-n", SYSTEM_NAMESPACE, "-l", selector], "condition=Complete");
    const table = await cluster.kubectl(["get", "jobs", "-n", SYSTEM_NAMESPACE, "-l", selector]);
    expect(table.stdout).toMatch(new RegExp(`^${job}\\s+Complete\\s+1/1`, "m"));
    const log = await cluster.kubectl(["logs", `job/${job}`, "-n", SYSTEM_NAMESPACE]);
    expect(log.stdout).toContain(backup.metadata.uid);
    const [pod] = await listObjects(cluster, ["pods", "-n", SYSTEM_NAMESPACE, "-l", selector]);
    const ended = JSON.stringify(pod).match(/"message":("(?:[^"\\]|\\.)*")/)?.[1] ?? '"{}"';
    expect(JSON.parse(JSON.parse(ended))).toMatchObject({ phase: "Succeeded", reason: "VeleroBackupCompleted" });
  });
});

describe("a Restore", () => {
  const restore = (namespace: string, name: string, parameters: Record<string, unknown> = {}) =>
    carryOut(
      namespace,
      name,
      restoreOperation({ namespace, name, parameters: { backupName: "shop-backup", ...parameters } }),
    );

  it("brings back what is missing in the same namespace", async () => {
    const before = await contentOf(cluster, TEAM);
    await cluster.kubectl(["delete", "configmap/shop-settings", "secret/shop-token", "-n", TEAM]);
    const operation = await restore(TEAM, "shop-again");
    expect(await contentOf(cluster, TEAM)).toEqual(before);
    expect(condition(operation, "Succeeded")).toMatchObject({
      status: "True",
      reason: "VeleroRestoreCompleted",
      message: expect.stringMatching(
        /^velero\.io\/Restore completed; \d+ items \(2 created, \d+ skipped.*\), from Backup shop-backup$/,
      ),
    });
    expect(condition(operation, "Running")).toMatchObject({ status: "False", reason: "VeleroRestoreSucceeded" });
    expect(operation.status?.outputs).toMatchObject({
      restoreName: "shop-again",
      backupName: "shop-backup",
      errorCount: "0",
    });
  });

  it("is of the team's own Backup where two teams gave theirs the same name", async () => {
    const other = "org-otherteam";
    await installApplication(cluster, other);
    const theirs = await carryOut(other, "shop-backup", backupOperation({ namespace: other, name: "shop-backup" }));
    const own = theirs.status?.outputs?.backupName;
    expect(own).toMatch(/^shop-backup-[0-9a-f]{8}$/);
    const before = await contentOf(cluster, other);
    await cluster.kubectl(["delete", "configmap/shop-settings", "-n", other]);
    const operation = await restore(other, "shop-again");
    expect(await contentOf(cluster, other)).toEqual(before);
    expect(operation.status?.outputs).toMatchObject({ backupName: own });
    const { stdout } = await cluster.kubectl(["get", "operations", "-n", other, "-o", "wide"]);
    expect(stdout).toMatch(new RegExp(`^shop-again +Restore .* ${own} `, "m"));
  });

  it("fills a renamed, empty namespace that has no target, and leaves the Operations of the old one out", async () => {
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: STAGING } }]);
    const operation = await restore(STAGING, "shop-restore", { namespaceMapping: { [TEAM]: STAGING } });
    await waitFor(cluster, ["deployment/shop", "-n", STAGING], "condition=Available");
    expect(await contentOf(cluster, STAGING)).toEqual(await contentOf(cluster, TEAM));
    const operations = await listObjects(cluster, ["operations", "-n", STAGING]);
    expect(operations.map((each) => each.metadata.name)).toEqual(["shop-restore"]);
    const items = await cluster.kubectl([
      "get",
      "restores.velero.io/shop-restore",
      "-n",
      VELERO_NAMESPACE,
      "-o",
      "jsonpath={.status.progress.itemsRestored}",
    ]);
    expect(operation.status?.outputs?.restoreItemCount).toBe(items.stdout);
    expect(condition(operation, "Degraded")).toBeUndefined();
  });

  it("passes on every warning that Velero's command line shows, when what exists differs", async () => {
    for (const name of ["shop-settings", "shop-texts"]) {
      await cluster.kubectl([
        "patch",
        `configmap/${name}`,
        "-n",
        TEAM,
        "--type=merge",
        "-p",
        '{"data":{"changed":"yes"}}',
      ]);
    }
    const operation = await restore(TEAM, "shop-differs");
    const description = await velero(cluster, ["restore", "describe", "shop-differs", "--details"]);
    const warnings = describedResults(description, "Warnings");
    expect(warnings.length).toBeGreaterThanOrEqual(2);
    expect(operation.status?.outputs?.warnings).toHaveLength(warnings.length);
    expect(operation.status?.outputs?.warnings).toEqual(expect.arrayContaining(warnings));
    expect(operation.status?.outputs?.warningCount).toBe(String(warnings.length));
    const kept = await cluster.kubectl(["get", "configmap/shop-texts", "-n", TEAM, "-o", "jsonpath={.data.changed}"]);
    expect(kept.stdout).toBe("yes");
  });
});

describe("the copy of an Operation that Velero restored", () => {
  it("does not run again", async () => {
    const spec = {
      backupName: "shop-backup",
      includedNamespaces: [TEAM],
      namespaceMapping: { [TEAM]: "org-myteam-copy" },
    };
    const byHand = {
      apiVersion: "velero.io/v1",
      kind: "Restore",
      metadata: { name: "by-hand", namespace: VELERO_NAMESPACE },
      spec,
    };
    await cluster.apply([byHand]);
    const copy = ["operation/shop-backup", "-n", "org-myteam-copy"];
    await waitFor(cluster, ["restore.velero.io/by-hand", "-n", VELERO_NAMESPACE], "jsonpath={.status.phase}=Completed");
    await waitFor(cluster, copy, "jsonpath={.status.reason}=RestoredCopy");
    const operation = await readOperation(cluster, "org-myteam-copy", "shop-backup");
    expect(condition(operation, "Accepted")).toMatchObject({ status: "False", reason: "RestoredCopy" });
    const selector = `${Label.operation}=${operation.metadata.uid}`;
    expect(await listObjects(cluster, ["jobs", "-n", SYSTEM_NAMESPACE, "-l", selector])).toEqual([]);
    expect(await listObjects(cluster, ["backups.velero.io", "-n", VELERO_NAMESPACE, "-l", selector])).toEqual([]);
  });
});

describe.skipIf(lacks(cluster, "kill-pod", "pause-object-store"))("killed in the middle", () => {
  /** A backup cannot end while the object store does not answer: time to kill whatever we like. */
  async function heldBackup(name: string, kill: () => Promise<void>): Promise<Operation> {
    await cluster.objectStore.pause();
    try {
      await cluster.apply([backupOperation({ namespace: TEAM, name })]);
      await waitFor(cluster, [`operation/${name}`, "-n", TEAM], "jsonpath={.status.phase}=Running");
      await kill();
    } finally {
      await cluster.objectStore.resume();
    }
    await waitFor(cluster, [`operation/${name}`, "-n", TEAM], "jsonpath={.status.phase}=Succeeded");
    const operation = await readOperation(cluster, TEAM, name);
    const own = ["backups.velero.io", "-n", VELERO_NAMESPACE, "-l", `${Label.operation}=${operation.metadata.uid}`];
    expect(await only(own)).toMatchObject({ metadata: { uid: operation.status?.engineRef?.uid } });
    return operation;
  }

  async function kill(selector: string): Promise<void> {
    const [pod] = await listObjects(cluster, [
      "pods",
      "-n",
      SYSTEM_NAMESPACE,
      "-l",
      selector,
      "--field-selector=status.phase=Running",
    ]);
    if (pod === undefined) throw new Error(`no running pod with ${selector}`);
    await cluster.killPod(SYSTEM_NAMESPACE, pod.metadata.name, "SIGKILL");
  }

  it("the dispatcher comes back and leaves the running Job alone", async () => {
    const operation = await heldBackup("held-dispatcher", () => kill("app.kubernetes.io/component=dispatcher"));
    const job = await only(["jobs", "-n", SYSTEM_NAMESPACE, "-l", `${Label.operation}=${operation.metadata.uid}`]);
    expect(operation.status?.runner?.jobUIDs).toEqual([job.metadata.uid]);
    await waitFor(cluster, ["deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE], "condition=Available");
  });

  it("the runner's successor adopts the backup under way", async () => {
    const operation = await heldBackup("held-runner", () => kill(`${Label.operationName}=held-runner`));
    expect(operation.status?.runner?.attempt).toBe(1);
    const pods = await listObjects(cluster, [
      "pods",
      "-n",
      SYSTEM_NAMESPACE,
      "-l",
      `${Label.operationName}=held-runner`,
    ]);
    expect(pods.length).toBe(2);
  });
});
