import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ownCluster } from "../cluster/testCluster.ts";
import { runCli } from "../integration/cli/runCli.ts";
import { installApplication } from "../scenario/application.ts";
import { changedArchive } from "../scenario/archive.ts";
import { listObjects, readOperation } from "../scenario/operations.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { temporaryFolder } from "../temporaryFolder.ts";
import { objectsIn } from "../unit/manifests/manifests.ts";

// Restore drills on a whole platform: what is wrong with a backup, in the bucket or elsewhere, has to show.
const cluster = await ownCluster();
const folder = temporaryFolder();
const TEAM = "org-myteam";
const ARCHIVE = "backups/daily/daily.tar.gz";

async function cli(...args: string[]) {
  return await runCli(args, { kubeconfig: cluster.kubeconfig, namespace: TEAM });
}

/** Changes the archive in the bucket, as a broken disk or a thief would. */
async function tamper(change: (packed: Buffer) => Buffer | Promise<Buffer>) {
  const packed = await cluster.objectStore.read(ARCHIVE);
  if (packed === undefined) throw new Error(`there is no ${ARCHIVE}`);
  await cluster.objectStore.write(ARCHIVE, await change(packed));
}

let whole: Buffer | undefined;
beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  expect(await cli("backup", "shop", "daily", "--wait")).toMatchObject({ code: 0 });
  whole = await cluster.objectStore.read(ARCHIVE);
});

afterEach(async () => {
  if (whole !== undefined) await cluster.objectStore.write(ARCHIVE, whole);
  // Whatever came of it, nothing of a drill stays.
  const namespaces = async () => (await listObjects(cluster, ["namespaces"])).map(({ metadata }) => metadata.name);
  await expect.poll(namespaces, { timeout: 60_000 }).not.toContainEqual(expect.stringMatching(/^drill-/));
  expect(await listObjects(cluster, ["restores.velero.io", "-A"])).toEqual([]);
});

it("passes for a good backup, which may be older than the application, and tells so where others look", async () => {
  const changed = await cluster.kubectl(["label", "configmap/shop-texts", "-n", TEAM, "season=winter"]);
  expect(changed.code).toBe(0);
  const { code, stdout } = await cli("drill", "shop");
  expect(stdout).toMatch(/^configmaps +2 +2 +2 +1$/m);
  expect(stdout).toMatch(/^deployments.apps +1 +1 +1 +/m);
  expect(stdout).toMatch(/^Restore drill of backup daily passed: \d+ objects came back equal$/m);
  expect(code).toBe(0);
  const { metadata } = await readOperation(cluster, TEAM, "daily");
  expect(metadata.annotations?.["ops.vworkspace.io/last-drill"]).toMatch(/^\d{4}-.*Z Passed$/);
  expect(await cli("drill", "shop", "--from", "nightly")).toMatchObject({
    code: 1,
    stderr: `error: there is no operation/nightly in namespace ${TEAM}\n`,
  });
  expect((await cli("describe", "daily")).stdout).toMatch(/Normal +DrillPassed +Restore drill of backup daily passed/);
});

it("fails for an archive that is cut off", async () => {
  await tamper((packed) => packed.subarray(0, packed.length - 100));
  const { code, stdout } = await cli("drill", "shop");
  expect(stdout).toContain("the files of backup/daily cannot be read: the file is not a complete gzip file");
  expect(code).toBe(2);
  expect((await cli("describe", "daily")).stdout).toMatch(/Warning +DrillFailed/);
});

it("fails where the archive lacks an object that Velero lists", async () => {
  await tamper((packed) =>
    changedArchive(packed, (name, content) => (name.endsWith("/shop-token.json") ? undefined : content)),
  );
  const { code, stdout } = await cli("drill", "shop");
  expect(stdout).toContain("v1/Secret shop-token is in Velero's list of the backup and not in its archive");
  expect(code).toBe(2);
});

it("fails where the archive has another content than the original, which has not changed", async () => {
  await tamper((packed) =>
    changedArchive(packed, (_, content) => content.replace('"currency":"EUR"', '"currency":"USD"')),
  );
  const { code, stdout } = await cli("drill", "shop", "-o", "json");
  expect(JSON.parse(stdout)).toMatchObject({
    result: "Failed",
    problems: ["configmaps/shop-settings has not changed since the backup, which differs from it in data.currency"],
  });
  expect(code).toBe(2);
});

it("fails where the cluster refuses an object, which Velero takes for a warning", async () => {
  await cluster.apply(refusing("shop-token"));
  const { code, stdout } = await cli("drill", "shop");
  expect(stdout).toContain("secrets/shop-token is in the backup and was not restored");
  expect(code).toBe(2);
  await cluster.kubectl(["delete", "validatingadmissionpolicybinding/refuse", "validatingadmissionpolicy/refuse"]);
});

describe("with --run", () => {
  /** A probe of the shipped program: with these arguments it ends at once. */
  async function probeFile(...args: string[]): Promise<string> {
    const file = path.join(folder(), "probe.json");
    const containers = [{ name: "probe", image: "ghcr.io/vworkspace-io/operation-runner:0.1.0", args }];
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "Pod", spec: { containers } }));
    return file;
  }

  it("lets what was restored run, and a probe look at it", async () => {
    const { code, stdout, stderr } = await cli("drill", "shop", "--run", "--probe", await probeFile("version"));
    expect(stdout + stderr).toMatch(
      / passed: \d+ objects came back equal, 1 workload came up and the probe succeeded$/m,
    );
    expect(code).toBe(0);
  });

  it("fails where the probe does, and tells what it said", async () => {
    const args = ["drill", "shop", "--run", "--probe", await probeFile("nonsense"), "-o", "json"];
    const { code, stdout } = await cli(...args);
    expect(JSON.parse(stdout)).toMatchObject({
      result: "Failed",
      ran: { workloads: 1, probe: false },
      problems: ["the probe failed", "the probe said: error: unknown command 'nonsense'", expect.anything()],
    });
    expect(code).toBe(2);
  });

  it("allows a copy no more than its original may, and fails where it does not come up", async () => {
    const level = (value: string) =>
      cluster.kubectl(["label", "namespace", TEAM, `pod-security.kubernetes.io/enforce${value}`]);
    await level("=restricted");
    const { code, stdout, stderr } = await cli("drill", "shop", "--run", "--timeout", "30s");
    await level("-");
    expect(stdout + stderr).toContain("deployments.apps/shop is not ready: 0 of 1 pods");
    expect(code).toBe(2);
  });

  it("takes no probe of another kind, and none without it", async () => {
    expect(await cli("drill", "shop", "--run", "--probe", "package.json")).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("error: --probe: package.json must be a Pod that runs once: apiVersion: "),
    });
    expect(await cli("drill", "shop", "--probe", "package.json")).toMatchObject({
      code: 64,
      stderr: "error: --probe: needs --run: a probe looks at what runs\n",
    });
  });
});

it("tells who may not, before it makes anything", async () => {
  const { code, stderr } = await cli("drill", "shop", "--as", `system:serviceaccount:${TEAM}:default`);
  expect(stderr).toMatch(/^error: .*forbidden/i);
  expect(code).toBe(1);
});

it("runs by itself, and its account can touch no other namespace", async () => {
  await cluster.apply(objectsIn("manifests/components/drill"));
  const now = ["create", "job", "drill-now", "-n", SYSTEM_NAMESPACE, "--from=cronjob/operation-drill-shop"];
  expect(await cluster.kubectl(now)).toMatchObject({ code: 0 });
  await waitFor(cluster, ["job/drill-now", "-n", SYSTEM_NAMESPACE], "condition=Complete");

  await cluster.kubectl(["delete", "job/drill-now", "-n", SYSTEM_NAMESPACE]);

  const account = `system:serviceaccount:${SYSTEM_NAMESPACE}:operation-drill`;
  const refused = async (args: readonly string[], input?: object) =>
    (await cluster.kubectl([...args, "--as", account], input && { input: JSON.stringify(input) })).stderr;
  expect(await refused(["delete", "namespace", TEAM, "--wait=false"])).toContain("only what a drill has made");
  expect(await refused(["create", "namespace", "org-other"])).toContain("whose name begins with drill-");
  expect(await refused(["create", "quota", "stop", "-n", TEAM, "--hard=pods=0"])).toContain("begins with drill-");
  const restore = {
    apiVersion: "velero.io/v1",
    kind: "Restore",
    metadata: { name: "theirs", namespace: VELERO_NAMESPACE },
    spec: { backupName: "daily", includedNamespaces: [TEAM], includeClusterResources: false, restorePVs: false },
  };
  expect(await refused(["create", "-f", "-"], restore)).toContain("restores only into namespaces");
  await cluster.kubectl(["delete", "-f", "manifests/components/drill/drill-bounds.yaml"]);
});

it("says so where the restore does not end in time, and where there is no backup", async () => {
  expect(await cli("drill", "shop", "--timeout", "1ms")).toMatchObject({
    code: 124,
    stderr: expect.stringContaining("has not ended in time"),
  });
  expect(await cli("drill", "blog")).toMatchObject({
    code: 1,
    stderr: `error: there is no backup of blog in namespace ${TEAM} to restore from\n`,
  });
});

/** A policy of the cluster by which no copy of a Secret is made. */
function refusing(name: string): object[] {
  const version = { apiVersion: "admissionregistration.k8s.io/v1", metadata: { name: "refuse" } };
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["secrets"] };
  return [
    {
      ...version,
      kind: "ValidatingAdmissionPolicy",
      spec: {
        matchConstraints: { resourceRules: [rule] },
        validations: [{ expression: `object.metadata.name != "${name}"`, message: "no copies" }],
      },
    },
    {
      ...version,
      kind: "ValidatingAdmissionPolicyBinding",
      spec: { policyName: "refuse", validationActions: ["Deny"] },
    },
  ];
}
