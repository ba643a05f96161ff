import { beforeAll, describe, expect, it } from "vitest";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { listObjects, restoreOperation } from "../scenario/operations.ts";
import { awaitJob, awaitOperation, phaseIs, veleroObjectsOf } from "../scenario/outcome.ts";
import { installPlatform } from "../scenario/platform.ts";
import { teamIn } from "../scenario/team.ts";

const cluster = await ownCluster();
const TEAM = "org-goes";
const STAYS = "org-stays";

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  await installApplication(cluster, STAYS);
});

async function deleteNamespace(name: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(["delete", `namespace/${name}`]);
  if (code !== 0) throw new Error(stderr);
}

describe.skipIf(lacks(cluster, "run-pods"))("a namespace that is deleted while a Restore into it waits", () => {
  it("does not come back", async () => {
    const team = teamIn(cluster, TEAM);
    await team.apply("before");
    await team.until("before", phaseIs("Succeeded"));

    await whileVeleroIsDown(cluster, async () => {
      await cluster.apply([restoreOperation({ namespace: TEAM, name: "again", parameters: { backupName: "before" } })]);
      const restore = await awaitOperation(cluster, TEAM, "again", "jsonpath={.status.engineRef.uid}");
      await deleteNamespace(TEAM);
      await awaitJob(cluster, restore, "Complete");
      expect(await veleroObjectsOf(cluster, restore)).toEqual([]);
    });

    // What Velero had to do then, it has done before this.
    const other = teamIn(cluster, STAYS);
    await other.apply("later");
    await other.until("later", phaseIs("Succeeded"));
    const namespaces = (await listObjects(cluster, ["namespaces"])).map(({ metadata }) => metadata.name);
    expect(namespaces).toContain(STAYS);
    expect(namespaces).not.toContain(TEAM);
  });
});
