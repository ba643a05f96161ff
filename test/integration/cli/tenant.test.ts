import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { operations } from "../../../src/api/operation.ts";
import { storageLocations } from "../../../src/api/velero.ts";
import { AUDITED_GROUP } from "../../cluster/auditPolicy.ts";
import { jobOf } from "../../scenario/byHand.ts";
import { SharedCluster } from "../attacks/sharedCluster.ts";
import { Cli, runCli } from "./runCli.ts";

// Eve may edit org-a and nothing else, on a cluster with everything as it is shipped. Every verb is hers.
let shared: SharedCluster;
let eve: string;

beforeAll(async () => {
  shared = await SharedCluster.open({
    OPERATION_RUNNER_STORAGE_LOCATIONS: "{broken: [org-a], default: [org-a, org-b]}",
  });
  eve = await shared.cluster.user("eve", [AUDITED_GROUP]);
  const grant = ["create", "rolebinding", "eve", "-n", "org-a", "--clusterrole=edit", "--user=eve"];
  expect(await shared.cluster.kubectl(grant)).toMatchObject({ code: 0 });
  const mayCreate = ["auth", "can-i", "create", "operations", "-n", "org-a"];
  await vi.waitFor(
    async () => expect(await shared.cluster.kubectl(mayCreate, { as: eve })).toMatchObject({ code: 0 }),
    {
      timeout: 60_000,
    },
  );
  await shared.target("org-a", "shop");
});
afterAll(() => shared?.close());

async function cli(...args: string[]) {
  return await runCli(args, { kubeconfig: eve, namespace: "org-a" });
}

/** Plays Velero for one Operation whose Job a runner carries out. */
async function carriedOut(name: string, type: "Backup" | "Restore", status: object): Promise<number> {
  await jobOf(shared.client, "org-a", name);
  const runner = shared.carryOut("org-a", name);
  await shared.velero.created(type, name);
  await shared.velero.setStatus(type, name, { ...status });
  return await runner;
}

const SCHEDULE_ACCOUNT = "system:serviceaccount:org-a:operation-schedule";
const podsSchema = z.object({
  items: z.array(
    z.object({
      spec: z.object({
        containers: z.tuple([
          z.object({
            args: z.array(z.string()),
            env: z.array(z.object({ valueFrom: z.object({ fieldRef: z.object({ fieldPath: z.string() }) }) })),
          }),
        ]),
      }),
    }),
  ),
});

const exists = async (name: string) =>
  await shared.client.get(operations, { namespace: "org-a", name }).then(
    () => true,
    () => false,
  );

describe("who may edit one namespace", () => {
  test("asks for a backup and learns how it ended", async () => {
    const command = new Cli(["backup", "shop", "daily", "--ttl", "72h", "--wait"], {
      kubeconfig: eve,
      namespace: "org-a",
    });
    await command.said(/^operation\/daily created$/m);
    expect(await carriedOut("daily", "Backup", { phase: "Completed" })).toBe(0);
    expect(await command.result()).toMatchObject({
      code: 0,
      stdout: "operation/daily created\noperation/daily succeeded\n",
    });
    const { spec } = await shared.client.get(operations, { namespace: "org-a", name: "daily" });
    expect(spec).toMatchObject({ type: "Backup", parameters: { ttl: "72h" }, targetRef: { name: "shop" } });
  });

  test("is told by --wait that Velero failed it, and why", async () => {
    const command = new Cli(["backup", "shop", "bad", "--wait", "-o", "name"], { kubeconfig: eve, namespace: "org-a" });
    await carriedOut("bad", "Backup", { phase: "Failed", failureReason: "disk on fire" });
    const { code, stdout, stderr } = await command.result();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "operation/bad\n" });
    expect(stderr).toContain("VeleroBackupFailed: disk on fire");
  });

  test("gives no name and gets one; the same name twice is refused", async () => {
    const { stdout } = await cli("backup", "later", "-o", "name");
    expect(stdout).toMatch(/^operation\/later-\d{8}-\d{4}(\d\d)?\n$/);
    const again = await cli("backup", "shop", "daily");
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toBe("error: there is an operation/daily already: give another name\n");
  });

  test("sees what would be sent, and whether the server would take it, and nothing is made", async () => {
    const client = await cli("backup", "shop", "dry", "--dry-run=client", "-o", "yaml");
    expect(client.code).toBe(0);
    expect(client.stdout).toContain("kind: Operation\nmetadata:\n  name: dry\n");
    expect(await cli("backup", "shop", "dry", "--dry-run=server")).toMatchObject({
      code: 0,
      stdout: "operation/dry created (server dry run)\n",
    });
    const wrong = await cli("restore", "shop", "dry", "--from", "b", "--from-namespace", "org-b", "--dry-run=server");
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("whoever restores from org-b must be allowed to create Operations there");
    expect(await exists("dry")).toBe(false);
  });

  test("sees what a restore would meet, and none is made", async () => {
    const { code, stdout } = await cli("restore", "shop", "seen", "--from", "daily", "--preview");
    expect(stdout).toContain("Restore seen into namespace org-a from operation/daily of org-a");
    expect(stdout).toContain("Nothing would hold it back, as far as can be seen.");
    expect(stdout).toContain("note: what the backup holds is for who may read Velero's files in namespace velero");
    expect(stdout).toContain(
      "note: not checked (no right to see configmaps/operation-dispatcher-settings in namespace vworkspace-system): whether the dispatcher serves this namespace, ",
    );
    expect(code).toBe(0);
    const failed = await cli("restore", "shop", "seen", "--from", "bad", "--preview", "-o", "json");
    expect(failed.code).toBe(2);
    expect(JSON.parse(failed.stdout).hindrances).toEqual([
      expect.stringContaining("RestoreForbidden: operation/bad has not succeeded"),
    ]);
    expect(await exists("seen")).toBe(false);
  });

  test("confirms a restore that overwrites; where nobody is asked, by --yes", async () => {
    const args = ["restore", "shop", "over", "--from", "daily", "--existing-resource-policy", "update"];
    const unasked = await cli(...args);
    expect(unasked).toMatchObject({ code: 1, stdout: "" });
    expect(unasked.stderr).toMatch(/changes what is in namespace org-a.*give --yes/);
    expect(await exists("over")).toBe(false);
    const command = new Cli([...args, "--yes", "--wait"], { kubeconfig: eve, namespace: "org-a" });
    await carriedOut("over", "Restore", { phase: "Completed", progress: { itemsRestored: 1, totalItems: 1 } });
    expect(await command.result()).toMatchObject({ code: 0 });
  });

  test("cancels what waits, and runs it again", async () => {
    await cli("backup", "nowhere", "waits");
    await shared.until("org-a", "waits", ({ status }) => status?.reason === "TargetNotFound");
    const late = await cli("wait", "waits", "--timeout", "1s");
    expect(late.code).toBe(124);
    expect(late.stderr).toContain("TargetNotFound");
    expect(await cli("cancel", "waits", "--dry-run=client")).toMatchObject({
      stdout: "operation/waits asked to cancel (dry run)\n",
    });
    const cancelled = await cli("cancel", "nobody", "waits");
    expect(cancelled).toMatchObject({ code: 1, stdout: "operation/waits asked to cancel\n" });
    expect(cancelled.stderr).toContain("there is no operation/nobody");
    expect(await cli("wait", "waits")).toMatchObject({ code: 2, stdout: "operation/waits cancelled\n" });
    expect(await cli("cancel", "waits")).toMatchObject({
      code: 0,
      stdout: "operation/waits unchanged: it has ended (cancelled)\n",
    });

    await shared.target("org-a", "nowhere");
    const again = new Cli(["rerun", "waits", "--wait"], { kubeconfig: eve, namespace: "org-a" });
    await again.said(/^operation\/waits asked to run again$/m);
    await shared.until("org-a", "waits", ({ status }) => status?.runner?.attempt === 2);
    await jobOf(shared.client, "org-a", "waits");
    const runner = shared.carryOut("org-a", "waits");
    const { name } = await firstOf("Backup", "waits-");
    await shared.velero.setStatus("Backup", name, { phase: "PartiallyFailed", errors: 1 });
    expect(await runner).toBe(0);
    const { code, stdout } = await again.result();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "operation/waits asked to run again\noperation/waits succeeded, degraded\n",
    });
  });

  test("is not led to run again what has succeeded", async () => {
    const { code, stderr } = await cli("rerun", "daily");
    expect(code).toBe(1);
    expect(stderr).toContain("has succeeded and is not run again: ask for another one (kubectl operation backup shop)");
  });

  test("looks at all of it", async () => {
    expect((await cli("get")).stdout).toMatch(/^daily /m);
    const { stdout } = await cli("describe", "daily");
    expect(stdout).toMatch(/^Velero: +Backup velero\/daily$/m);
    expect(stdout).toMatch(/^Job: +vworkspace-system\/daily-\w+, attempt 1$/m);
    expect(await cli("watch", "daily")).toMatchObject({ code: 0 });
    const logs = await cli("logs", "daily");
    expect(logs).toMatchObject({ code: 0, stdout: expect.stringContaining("reason: VeleroBackupCompleted") });
    expect(logs.stderr).toContain("there is no right to read logs in namespace vworkspace-system");
  });

  test("is told what takes more than that, and nothing is asked that would be refused", async () => {
    const deletion = await cli("delete-backup", "daily", "--yes");
    expect(deletion).toMatchObject({ code: 1, stdout: "" });
    expect(deletion.stderr).toMatch(
      /^error: deleting a backup needs rights in namespace velero, which the platform's admin/,
    );
    const log = await cli("logs", "daily", "--velero");
    expect(log).toMatchObject({ code: 1, stdout: "" });
    expect(log.stderr).toMatch(/^error: Velero's log needs rights in namespace velero, which the platform's admin/);
  });

  test("learns what is backed up, as far as Operations tell", async () => {
    const { code, stdout, stderr } = await cli("status", "--max-age", "24h");
    expect(stdout).toMatch(/^shop +Failing +\S+ +daily /m);
    expect(stderr).toContain("no right to see ApplicationInstances");
    expect(stdout).toMatch(/^later +Never /m);
    expect(code).toBe(2);
  });

  test("is offered the names that fit", async () => {
    const offered = async (...words: string[]) => (await runCli(["__complete", ...words], { kubeconfig: eve })).stdout;
    expect(await offered("rerun", "-n", "org-a", "")).toBe("bad\n:4\n");
    expect(await offered("restore", "-n", "org-a", "shop", "--from", "da")).toBe("daily\n:4\n");
    expect(await offered("backup", "--namespace=org-a", "sh")).toBe("shop\n:4\n");
  });

  test("has a CronJob ask every night; a pod that is started again follows what the one before has asked for", async () => {
    const made = await cli("schedule", "shop", "nightly", "--cron", "0 2 * * *", "--ttl", "72h");
    expect(made).toMatchObject({ code: 0, stdout: "cronjob/nightly created\n" });
    const [, grant = ""] = /run once: kubectl (.*)/.exec(made.stderr) ?? [];
    expect(await shared.cluster.kubectl(grant.split(" "))).toMatchObject({ code: 0 });
    expect((await cli("schedule", "shop", "nightly", "--cron", "0 3 * * *")).stderr).toMatch(
      /there is a cronjob\/nightly already/,
    );
    const wrong = await cli("schedule", "shop", "wrong", "--cron", "every night", "--dry-run=server");
    expect(wrong).toMatchObject({ code: 1, stdout: "" });
    expect(wrong.stderr).toMatch(/spec\.schedule.*"every night"/);

    await shared.cluster.kubectl(["label", "namespace", "org-a", "pod-security.kubernetes.io/enforce=restricted"]);
    const now = ["create", "job", "now", "-n", "org-a", "--from=cronjob/nightly"];
    // A pod that PodSecurity would refuse causes a warning.
    expect(await shared.cluster.kubectl(now, { as: eve })).toMatchObject({ code: 0, stderr: "" });
    const pod = async () => {
      const found = await shared.cluster.kubectl(["get", "pods", "-n", "org-a", "-l", "job-name=now", "-o", "json"]);
      return podsSchema.parse(JSON.parse(found.stdout)).items[0];
    };
    await expect.poll(pod, { timeout: 60_000 }).toBeDefined();
    // No node runs it here, so the test does.
    const { args, env } = (await pod())?.spec.containers[0] ?? { args: [], env: [] };
    expect(env[0]?.valueFrom.fieldRef.fieldPath).toBe("metadata.labels['batch.kubernetes.io/job-name']");
    const asPod = [...args.map((arg) => arg.replace("$(JOB_NAME)", "now")), "--as", SCHEDULE_ACCOUNT];
    const run = () => new Cli(asPod, { kubeconfig: shared.cluster.kubeconfig, namespace: "org-a" });
    const first = run();
    await first.said(/^operation\/now created$/m);
    first.child.kill("SIGKILL");
    const second = run();
    expect(await carriedOut("now", "Backup", { phase: "Completed" })).toBe(0);
    expect(await second.result()).toMatchObject({ code: 0 });
    const { metadata, spec } = await shared.client.get(operations, { namespace: "org-a", name: "now" });
    expect(spec).toMatchObject({ type: "Backup", parameters: { ttl: "72h" } });
    expect(metadata).not.toHaveProperty("ownerReferences");
    await shared.cluster.kubectl(["delete", "cronjob/nightly", "job/now", "-n", "org-a"]);
    expect(await exists("now")).toBe(true);
  });

  test("does not wait for ever for a storage location that is broken; what was asked for goes on when it is mended", async () => {
    const broken = { namespace: shared.velero.namespace, name: "broken" };
    await shared.client.create(storageLocations, {
      metadata: broken,
      spec: { provider: "aws", objectStorage: { bucket: "gone" } },
      status: { phase: "Unavailable", message: "no such bucket" },
    });
    const ask = ["backup", "shop", "stranded", "--storage-location", "broken", "--wait", "--timeout", "3s"];
    const late = await cli(...ask);
    expect(late.code).toBe(124);
    expect(late.stderr).toContain("StorageLocationUnavailable");
    await shared.client.mergePatch(storageLocations, broken, { status: { phase: "Available" } });
    expect(await carriedOut("stranded", "Backup", { phase: "Completed" })).toBe(0);
    expect(await cli("wait", "stranded")).toMatchObject({ code: 0, stdout: "operation/stranded succeeded\n" });
  });
});

async function firstOf(type: "Backup", prefix: string): Promise<{ name: string }> {
  return await vi.waitFor(
    async () => {
      const found = (await shared.velero.all(type)).find(({ metadata }) => metadata.name.startsWith(prefix));
      if (found === undefined) throw new Error(`no ${type} ${prefix}`);
      return found.metadata;
    },
    { timeout: 60_000 },
  );
}

test("nothing was asked for outside of the namespace but their own rights, and refused was what they have no right to", async () => {
  const asked = (await shared.cluster.audit()).filter(
    ({ user, userAgent }) => user.username === "eve" && userAgent.includes("(cli)"),
  );
  expect(asked.length).toBeGreaterThan(30);
  const elsewhere = asked.filter(
    ({ objectRef }) => objectRef?.namespace !== "org-a" && objectRef?.resource !== "selfsubjectaccessreviews",
  );
  expect(elsewhere).toEqual([]);
  // The one that was to be refused: the dry run of a restore from org-b.
  const refused = asked.filter(({ responseStatus }) => responseStatus?.code === 403);
  expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([
    expect.stringMatching(/^create .*\/namespaces\/org-a\/operations\?.*dryRun=All/),
  ]);
});
