import { beforeAll, describe, expect, it } from "vitest";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { whileStoreHangs } from "../scenario/interruptVelero.ts";
import { listObjects, readOperation } from "../scenario/operations.ts";
import { conditionsOf, phaseIs, veleroObjectsOf } from "../scenario/outcome.ts";
import { installPlatform, SYSTEM_NAMESPACE, systemKubectl, waitFor } from "../scenario/platform.ts";
import { jobsOf, runnerPodOf } from "../scenario/runners.ts";
import { PATIENT, teamIn } from "../scenario/team.ts";

const cluster = await ownCluster();
const TEAM = "org-interrupted";
const team = teamIn(cluster, TEAM);

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

describe.skipIf(lacks(cluster, "pause-object-store"))("a backup goes on, and is told of, though meanwhile", () => {
  it("the runner's rights are away until it is refused, and are then given back", async () => {
    const [binding] = await listObjects(cluster, [
      "clusterrolebindings",
      "--field-selector=metadata.name=operation-runner",
    ]);
    if (binding === undefined) throw new Error("no such binding");
    await whileStoreHangs(cluster, async () => {
      const operation = await team.inProgress("refused");
      const pod = await runnerPodOf(cluster, TEAM, "refused");
      await systemKubectl(cluster, "delete", "clusterrolebinding/operation-runner");
      try {
        await expect.poll(() => systemKubectl(cluster, "logs", pod), PATIENT).toMatch(/cannot \w+ resource/);
        // It must not have ended on that: its status is where it was.
        expect((await readOperation(cluster, TEAM, "refused")).status?.phase).toBe("Running");
        expect(await jobsOf(cluster, operation)).toHaveLength(1);
      } finally {
        const { name } = binding.metadata;
        await cluster.apply([{ ...binding, metadata: { name } }]);
      }
    });
    const operation = await team.until("refused", phaseIs("Succeeded"));
    expect(conditionsOf(operation)).toMatchObject({ Succeeded: "True/VeleroBackupCompleted" });
    expect(operation.status?.runner?.attempt).toBe(1);
    expect(operation.status?.runner?.jobUIDs).toHaveLength(1);
    expect(await veleroObjectsOf(cluster, operation)).toHaveLength(1);
  });

  it("its Job gives up: another one follows", async () => {
    await whileStoreHangs(cluster, async () => {
      const operation = await team.inProgress("deserted");
      const [job] = await jobsOf(cluster, operation);
      const patch = JSON.stringify({ spec: { activeDeadlineSeconds: 1 } });
      await systemKubectl(cluster, "patch", `job/${job?.metadata.name}`, "--type=merge", "-p", patch);
      const reason = async () => conditionsOf(await readOperation(cluster, TEAM, "deserted")).Running;
      await expect.poll(reason, PATIENT).toBe("False/RunnerFailed");
      // The successor has the name of the one that gave up.
      const uids = async () => (await jobsOf(cluster, operation)).map(({ metadata }) => metadata.uid);
      await expect.poll(async () => (await uids()).filter((uid) => uid !== job?.metadata.uid), PATIENT).toHaveLength(1);
      expect((await readOperation(cluster, TEAM, "deserted")).status?.phase).toBe("Running");
    });
    const operation = await team.until("deserted", phaseIs("Succeeded"));
    expect(operation.status?.runner).toMatchObject({ attempt: 1, successors: 1 });
    expect(await veleroObjectsOf(cluster, operation)).toHaveLength(1);
    const job = `job/${operation.status?.runner?.jobName}`;
    await waitFor(cluster, [job, "-n", SYSTEM_NAMESPACE], "condition=Complete");
  });
});
