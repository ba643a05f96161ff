import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { backups, deleteBackupRequests } from "../../../src/api/velero.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "../dispatcher/dispatcherFixture.ts";
import { Cli, runCli } from "./runCli.ts";

// What needs more than `edit` in one namespace, on a real API server with a real dispatcher. Runners and Velero are played.
const cluster = testCluster();
let fixture: DispatcherFixture;
let folder: string;
let keyFile: string;

beforeAll(async () => {
  await installApis(cluster, { snapshots: true });
  fixture = await DispatcherFixture.open(cluster);
  folder = await mkdtemp(path.join(os.tmpdir(), "cli-key-"));
  keyFile = path.join(folder, "key");
  await writeFile(keyFile, randomBytes(16).toString("hex"));
  fixture.dispatcher({ OPERATION_RUNNER_APPROVAL_KEY_FILE: keyFile });
  await fixture.target();
});
afterAll(async () => {
  await fixture?.close();
  await rm(folder, { recursive: true });
});

async function cli(...args: string[]) {
  return await runCli(args, { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
}

describe("approve", () => {
  test("has what waits for it admitted; another key does not", async () => {
    expect(await cli("backup", "shop", "asks", "--approval-required")).toMatchObject({ code: 0 });
    await fixture.says("asks", "Blocked=True/AwaitingApproval");
    expect((await cli("describe", "asks")).stdout).toContain(
      `kubectl operation approve asks -n ${fixture.tenant} --key-file FILE`,
    );
    const other = path.join(folder, "other");
    await writeFile(other, "another key");
    expect(await cli("approve", "asks", "--key-file", other)).toMatchObject({ code: 0 });
    expect((await cli("describe", "asks")).stdout).toMatch(/AwaitingApproval/);
    const { code, stdout } = await cli("approve", "asks", "--key-file", keyFile, "--by", "ann", "--valid-for", "10m");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^operation\/asks approved until \d{4}-\d\d-\d\dT/);
    const { spec } = await fixture.says("asks", "Accepted=True/TemplateValidated");
    expect(spec?.approvals).toMatchObject({ required: true, approvedBy: "ann" });
  });

  test("names a key that cannot be read, and a time that is none", async () => {
    const missing = await cli("approve", "asks", "--key-file", "/nowhere");
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("--key-file: /nowhere cannot be read");
    expect(await cli("approve", "asks", "--key-file", keyFile, "--valid-for", "-1h")).toMatchObject({ code: 64 });
  });
});

describe("restore --preview", () => {
  test("names the dispatcher's checks that would hold it back, as its settings say, and makes nothing", async () => {
    await fixture.operation({ name: "source", target: "nowhere" });
    await fixture.says("source", "Accepted=False/TargetNotFound");
    const runner = { jobName: "gone", jobNamespace: fixture.jobNamespace };
    await fixture.report("source", { runner, outputs: { storageLocation: "elsewhere" } });
    await fixture.succeed("source");
    const preview = async () => await cli("restore", "shop", "seen", "--from", "source", "--preview", "-o", "json");
    const reportSchema = z.object({ hindrances: z.array(z.string()) });
    // But for the Operations of other tests, which are at work in the namespace as well.
    const hindrances = async () =>
      reportSchema
        .parse(JSON.parse((await preview()).stdout))
        .hindrances.filter((each) => !each.startsWith("ConflictingOperation"));
    const away = expect.stringMatching(/^StorageLocationUnavailable: .*"elsewhere" does not exist/);
    expect(await hindrances()).toEqual([away]);

    const metadata = { namespace: fixture.jobNamespace, name: "operation-dispatcher-settings" };
    const data = { "settings.yaml": `namespaces: [other]\napprovalRequired: {types: [Restore]}\n` };
    await fixture.client.create(configMaps, { metadata, data });
    expect(await hindrances()).toEqual([
      expect.stringMatching(/^OutOfScope: /),
      away,
      expect.stringMatching(/^AwaitingApproval: the platform requires an approval for every Restore/),
    ]);
    expect(await preview()).toMatchObject({ code: 2, stderr: "" });
    await fixture.client.delete(configMaps, metadata);
    expect(await cli("get", "seen")).toMatchObject({ code: 1 });
  });
});

describe("delete-backup", () => {
  /** A finished Operation whose status names this Backup. */
  async function finished(name: string, { uid, phase }: { uid?: string; phase: string }) {
    await fixture.operation({ name, target: "shop" });
    await fixture.job(await fixture.says(name, "Accepted=True/TemplateValidated"));
    const metadata = { namespace: fixture.veleroNamespace, name };
    const backup = await fixture.client.create(backups, { metadata, spec: {}, status: { phase } });
    const engineRef = { kind: "Backup", ...metadata, uid: uid ?? backup.metadata.uid };
    await fixture.report(name, { engineRef });
    await fixture.succeed(name);
    return backup;
  }

  const requests = async () =>
    (await fixture.client.list(deleteBackupRequests, { namespace: fixture.veleroNamespace })).items;

  test("asks Velero to delete it, once that is confirmed, and waits until it is gone", async () => {
    const backup = await finished("old", { phase: "Completed" });
    const unasked = await cli("delete-backup", "old");
    expect(unasked).toMatchObject({ code: 1, stdout: "" });
    expect(unasked.stderr).toContain("give --yes");
    expect(await requests()).toEqual([]);
    expect(await cli("delete-backup", "old", "--dry-run=server")).toMatchObject({ code: 0 });
    expect(await requests()).toEqual([]);

    const args = ["delete-backup", "old", "--yes", "--wait"];
    const command = new Cli(args, { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
    await expect.poll(requests, { timeout: 60_000 }).toMatchObject([
      {
        metadata: { labels: { "velero.io/backup-name": "old", "velero.io/backup-uid": backup.metadata.uid } },
        spec: { backupName: "old" },
      },
    ]);
    await fixture.client.delete(backups, backup.metadata);
    expect(await command.result()).toMatchObject({ code: 0, stdout: "backup/old deleted\n" });
    for (const { metadata } of await requests()) await fixture.client.delete(deleteBackupRequests, metadata);
  });

  test.each([
    ["another one that has its name", { uid: "somebody-else", phase: "Completed" }, "another one has its name"],
    ["a failed one: Velero would go by the name alone", { phase: "Failed" }, "could take an older backup's files"],
  ])("leaves alone %s", async (_, backup, why) => {
    const name = `kept-${randomBytes(3).toString("hex")}`;
    await finished(name, backup);
    const { code, stderr } = await cli("delete-backup", name, "--yes");
    expect(code).toBe(1);
    expect(stderr).toContain(why);
    expect(await requests()).toEqual([]);
  });

  test("is for what has ended and has a Backup", async () => {
    await fixture.operation({ name: "waits", target: "nowhere" });
    await fixture.says("waits", "Accepted=False/TargetNotFound");
    expect((await cli("delete-backup", "waits", "--yes")).stderr).toContain("has not ended: cancel it first");
  });
});

describe("logs", () => {
  test("say what the Operation and its Events say where there is no log", async () => {
    await fixture.operation({ name: "nobody", target: "nowhere" });
    await fixture.says("nobody", "Accepted=False/TargetNotFound");
    const { code, stdout, stderr } = await cli("logs", "nobody");
    expect(code).toBe(0);
    expect(stderr).toContain("no log: no runner was made for it yet");
    expect(stdout).toContain("reason: TargetNotFound");
  });

  test("of Velero need an object of Velero's", async () => {
    await fixture.operation({ name: "unmade", target: "nowhere" });
    const { code, stderr } = await cli("logs", "unmade", "--velero");
    expect(code).toBe(1);
    expect(stderr).toContain("has no Backup or Restore of Velero's yet");
  });
});
