import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Label, MANAGED_BY } from "../../../src/api/labels.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { conditionOf } from "../../../src/api/status.ts";
import { backups } from "../../../src/api/velero.ts";
import { deployments } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// What waits for Velero waits here, without a Job: docs/contract.md#queue.

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
  await fixture.target();
});
afterEach(() => fixture.close());

/** A dispatcher that goes by Velero's Deployment, or by what it has to think where there is none. */
const dispatcher = (settings: NodeJS.ProcessEnv = {}) =>
  fixture.dispatcher({ OPERATION_RUNNER_LIMITS_CONCURRENT_BACKUPS: "0", ...settings });

/** A Backup in Velero's namespace, in that phase. */
async function backup(name: string, phase: string, labels: Record<string, string> = {}) {
  const metadata = { namespace: fixture.veleroNamespace, name, labels };
  const made = await fixture.client.create(backups, { metadata, spec: {} });
  await fixture.client.mergePatch(backups, metadata, { status: { phase } });
  return made;
}
const move = (name: string, phase: string) =>
  fixture.client.mergePatch(backups, { namespace: fixture.veleroNamespace, name }, { status: { phase } });

/** What its runner would make for an Operation's first attempt. */
const own = ({ metadata }: Operation, phase: string) =>
  backup(metadata.name, phase, {
    [Label.managedBy]: MANAGED_BY,
    [Label.operation]: metadata.uid,
    [Label.attempt]: "1",
  });

const says = (name: string, words: string) =>
  fixture.until(operations, { namespace: fixture.tenant, name }, (seen) =>
    (conditionOf(seen?.status, "Running")?.message ?? "").includes(words),
  );

test("the next one gets its Job when Velero lets go of a Backup, long before that has ended", async () => {
  dispatcher();
  const first = await fixture.operation({ name: "a" });
  await fixture.job(first);
  const second = await fixture.operation({ name: "b" });
  await own(first, "InProgress");
  await says("b", "waits for Velero, which works on 1 Backup, position 1 of 1");
  expect(await fixture.jobNames()).toHaveLength(1);
  await move("a", "WaitingForPluginOperations");
  await fixture.job(second);
});

test("while more than three wait, Velero gets the next one before it lets go of the first", async () => {
  dispatcher();
  const first = await fixture.operation({ name: "a" });
  await fixture.job(first);
  await own(first, "InProgress");
  for (const name of ["b", "c", "d"]) await fixture.operation({ name });
  await says("d", "waits for Velero, which works on 1 Backup");
  expect(await fixture.jobNames()).toHaveLength(1);
  await fixture.operation({ name: "e" });
  await expect.poll(() => fixture.jobNames(), { timeout: 30_000 }).toHaveLength(2);
});

test("other people's Backups are named to those who wait, and keep nobody of ours from Velero's own line", async () => {
  await backup("nightly-1", "InProgress");
  for (const number of [2, 3, 4]) await backup(`nightly-${number}`, "Queued");
  dispatcher();
  await fixture.job(await fixture.operation({ name: "a" }));
  await fixture.operation({ name: "b" });
  await says(
    "b",
    "works on 1 Backup and has 3 in line, nightly-1 (InProgress), nightly-2 (Queued), nightly-3 (Queued)",
  );
  await move("nightly-1", "Completed");
  await move("nightly-2", "InProgress");
  await says(
    "b",
    "works on 1 Backup and has 2 in line, nightly-2 (InProgress), nightly-3 (Queued), nightly-4 (Queued)",
  );
});

test("as many are handed over as Velero's Deployment says, also when it says something else later", async () => {
  const template = (count: number) => {
    const args = ["server", `--concurrent-backups=${count}`];
    const containers = [{ name: "velero", image: "velero", args }];
    return { metadata: { labels: { app: "velero" } }, spec: { containers } };
  };
  const metadata = { namespace: fixture.veleroNamespace, name: "velero" };
  const spec = { replicas: 0, selector: { matchLabels: { app: "velero" } }, template: template(2) };
  await fixture.client.create(deployments, { metadata, spec });
  dispatcher({ OPERATION_RUNNER_LIMITS_MAX_CONCURRENT_PER_NAMESPACE: "10" });
  for (const namespace of fixture.otherTenants) await fixture.target("shop", "True", namespace);
  const where = [fixture.tenant, ...fixture.otherTenants];
  const all: Operation[] = [];
  for (const [index, name] of ["a", "b", "c"].entries()) {
    const namespace = where[(index + 1) % where.length] ?? fixture.tenant;
    all.push(await fixture.operation({ name, namespace }));
    if (index < 2) await fixture.job(all.at(-1) as Operation);
  }
  await says("c", "waits for Velero");
  expect(await fixture.jobNames()).toHaveLength(2);
  await fixture.client.mergePatch(deployments, metadata, { spec: { template: template(3) } });
  await fixture.job(all.at(-1) as Operation);
});

test("a dispatcher that may not read Velero's Deployment takes it to do one Backup at a time", async () => {
  await cluster.kubectl(["delete", "role", "-n", fixture.veleroNamespace, "--all"]);
  const role = `operation-dispatcher-${fixture.jobNamespace.replace("system-", "")}`;
  const rules = [
    "--verb=list,watch",
    "--resource=backups.velero.io,restores.velero.io,backupstoragelocations.velero.io",
  ];
  await cluster.kubectl(["create", "role", role, "-n", fixture.veleroNamespace, ...rules]);
  dispatcher();
  await fixture.job(await fixture.operation({ name: "a" }));
  await fixture.operation({ name: "b" });
  await says("b", "waits for Velero");
  expect(await fixture.jobNames()).toHaveLength(1);
});
