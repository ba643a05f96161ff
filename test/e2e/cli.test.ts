import { beforeAll, describe, expect, it } from "vitest";
import { ownCluster } from "../cluster/testCluster.ts";
import { runCli } from "../integration/cli/runCli.ts";
import { installApplication } from "../scenario/application.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";

// The commands for people on a whole platform: real Velero, real Jobs.
const cluster = await ownCluster();
const TEAM = "org-myteam";

async function cli(...args: string[]) {
  return await runCli(args, { kubeconfig: cluster.kubeconfig, namespace: TEAM });
}

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

describe("kubectl operation", () => {
  it("backs an application up and waits for it", async () => {
    expect(await cli("backup", "shop", "daily", "--wait")).toEqual({
      code: 0,
      stdout: "operation/daily created\noperation/daily succeeded\n",
      stderr: "",
    });
    const describe = async () => (await cli("describe", "daily")).stdout;
    // The Job ends a moment after its Operation.
    await expect.poll(describe, { timeout: 30_000 }).toMatch(/^Job: .*, Complete/m);
    const stdout = await describe();
    expect(stdout).toMatch(/^Velero: +Backup velero\/daily, phase Completed$/m);
    expect(stdout).toMatch(/^Pod: .*, Succeeded/m);
    expect(stdout).toMatch(/^Result: +Backup daily, \d+ items, /m);
  });

  it("shows the runner's log, and Velero's own", async () => {
    const runner = await cli("logs", "daily", "-f");
    expect(runner.code).toBe(0);
    expect(runner.stdout).toContain('"component":"runner"');
    const velero = await cli("logs", "daily", "--velero");
    expect(velero).toMatchObject({ code: 0, stderr: "" });
    expect(velero.stdout).toContain(`backup=velero/daily`);
  });

  it("finds the application backed up, until that is too long ago", async () => {
    const status = await cli("status", "--max-age", "1h");
    expect(status.stdout).toMatch(/^shop +Ok +<none> +daily +[\d.]+(B|KiB) /m);
    expect(status.code).toBe(0);
    expect(await cli("status", "--max-age", "1ms")).toMatchObject({ code: 2 });
    expect((await cli("status", "-o", "html")).stdout).toContain("1 of 1 targets are backed up as they should be.");
  });

  it("tells by kind what a restore would do, and makes none", async () => {
    const { code, stdout } = await cli("restore", "shop", "seen", "--from", "daily", "--preview");
    expect(stdout).toMatch(/^apps\/v1\/Deployment +1 +1 +1 kept as it is$/m);
    expect(stdout).toMatch(/^v1\/Secret +1 +1 +1 kept as it is$/m);
    expect(code).toBe(0);
    expect(await cli("get", "seen")).toMatchObject({ code: 1 });
  });

  it("restores it over what is there, and says that nothing changed", async () => {
    const { code, stdout, stderr } = await cli("restore", "shop", "back", "--from", "daily", "--wait", "--strict");
    expect({ code, stdout }).toEqual({
      code: 4,
      stdout: "operation/back created\noperation/back succeeded, degraded\n",
    });
    expect(stderr).toContain("NothingRestored");
  });

  it("deletes the backup and its files", async () => {
    expect(await cluster.objectStore.list("backups/daily/")).not.toEqual([]);
    expect(await cli("delete-backup", "daily", "--yes", "--wait")).toMatchObject({
      code: 0,
      stdout: "backup/daily deleted\n",
    });
    expect(await cluster.objectStore.list("backups/daily/")).toEqual([]);
  });
});

describe("a schedule", () => {
  it("asks for a backup when its time has come, and when somebody says now", async () => {
    expect(await cli("schedule", "shop", "minutely", "--cron", "* * * * *")).toMatchObject({ code: 0, stderr: "" });
    const now = ["create", "job", "right-now", "-n", TEAM, "--from=cronjob/minutely"];
    expect(await cluster.kubectl(now)).toMatchObject({ code: 0 });
    await waitFor(cluster, ["job/right-now", "-n", TEAM], "condition=Complete");
    expect(await cli("get", "right-now")).toMatchObject({
      stdout: expect.stringMatching(/right-now +Backup.*Succeeded/),
    });

    const fired = async () => (await cli("get", "-o", "name")).stdout.match(/operation\/minutely-\d+/)?.[0] ?? "";
    await expect.poll(fired, { timeout: 120_000 }).not.toBe("");
    expect(await cli("wait", await fired())).toMatchObject({ code: 0 });
    await waitFor(cluster, [(await fired()).replace("operation/", "job/"), "-n", TEAM], "condition=Complete");
    expect(await cluster.kubectl(["delete", "cronjob/minutely", "-n", TEAM])).toMatchObject({ code: 0 });
  });
});
