import { beforeAll, describe, expect, it } from "vitest";
import { Label } from "../../src/api/labels.ts";
import { jobName } from "../../src/api/names.ts";
import type { Operation } from "../../src/api/operation.ts";
import type { KubeObject } from "../../src/kube/metadata.ts";
import { APPLICATION_IMAGE } from "../cluster/images/images.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { killVelero, whileStoreHangs } from "../scenario/interruptVelero.ts";
import { backupOperation, listObjects, readOperation, restoreOperation } from "../scenario/operations.ts";
import { annotate, awaitJob, awaitOperation, CANCEL, conditionsOf, messageOf, phaseIs } from "../scenario/outcome.ts";
import { installPlatform, SYSTEM_NAMESPACE, systemKubectl, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { jobByHand, jobsOf, lastWordsOf, runnerPodOf, type Way } from "../scenario/runners.ts";
import { changeTemplates } from "../scenario/templates.ts";
import { describedResults, velero } from "../scenario/velero.ts";

/** What Velero makes of a backup besides success, and what the Operation tells of it. */

const cluster = await ownCluster();
const TEAM = "org-outcomes";
const RERUN = "ops.vworkspace.io/rerun";

const until = (name: string, condition: string) => awaitOperation(cluster, TEAM, name, condition);
const apply = (name: string, parameters = {}) =>
  cluster.apply([backupOperation({ namespace: TEAM, name, parameters })]);

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
});

async function byHand(name: string, way: Way): Promise<KubeObject> {
  return await jobByHand(cluster, await readOperation(cluster, TEAM, name), way);
}

describe("a backup that partially failed", () => {
  it("passes on every error and warning that Velero's command line shows", async () => {
    const namespace = "org-outcomes-partly";
    await installApplication(cluster, namespace);
    await cluster.apply(["first", "second"].map((name) => podWithImpossibleHook(namespace, name)));
    await waitFor(cluster, ["pod/first", "pod/second", "-n", namespace], "condition=Ready");
    await cluster.apply([backupOperation({ namespace, name: "partly" })]);
    const operation = await awaitOperation(cluster, namespace, "partly", phaseIs("Succeeded"));
    const description = await velero(cluster, ["backup", "describe", "partly", "--details"]);
    const errors = describedResults(description, "Errors").map((error) => `error: ${error}`);
    const warnings = describedResults(description, "Warnings");
    expect(errors.length).toBeGreaterThanOrEqual(2);
    const told = operation.status?.outputs?.warnings;
    expect([...(Array.isArray(told) ? told : [])].sort()).toEqual([...errors, ...warnings].sort());
    expect(operation.status?.outputs).toMatchObject({
      errorCount: String(errors.length),
      warningCount: String(warnings.length),
    });
    expect(conditionsOf(operation)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "False/VeleroBackupSucceeded",
      Succeeded: "True/VeleroBackupPartiallyFailed",
      Degraded: "True/PartialFailure",
    });
  });
});

/** Velero is told to run something in it before it backs it up, and to mind when that fails. */
function podWithImpossibleHook(namespace: string, name: string): object {
  const hook = "pre.hook.backup.velero.io";
  const annotations = { [`${hook}/command`]: '["/no-such-program"]', [`${hook}/on-error`]: "Fail" };
  const containers = [{ name: "app", image: APPLICATION_IMAGE }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, annotations }, spec: { containers } };
}

describe.skipIf(lacks(cluster, "kill-pod", "pause-object-store"))("a restart of Velero in the middle", () => {
  it("fails its backup and its restore with Velero's own words", async () => {
    const target = "org-outcomes-restored";
    await apply("whole");
    await until("whole", phaseIs("Succeeded"));
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: target } }]);
    const parameters = { backupName: "whole", namespaceMapping: { [TEAM]: target } };
    await whileStoreHangs(cluster, async () => {
      await apply("cut-off");
      await cluster.apply([restoreOperation({ namespace: target, name: "cut-off-too", parameters })]);
      await until("cut-off", phaseIs("Running"));
      await awaitOperation(cluster, target, "cut-off-too", phaseIs("Running"));
      await killVelero(cluster);
    });
    const failed = {
      Backup: await until("cut-off", phaseIs("Failed")),
      Restore: await awaitOperation(cluster, target, "cut-off-too", phaseIs("Failed")),
    };
    for (const [type, operation] of Object.entries(failed)) {
      expect(conditionsOf(operation)).toEqual({
        Accepted: "True/TemplateValidated",
        Running: `False/Velero${type}Failed`,
        Failed: `True/Velero${type}Failed`,
      });
      const object = `${type.toLowerCase()}.velero.io/${operation.status?.engineRef?.name}`;
      const reason = ["get", object, "-n", VELERO_NAMESPACE, "-o", "jsonpath={.status.failureReason}"];
      const { stdout } = await cluster.kubectl(reason);
      expect(stdout).not.toBe("");
      expect(messageOf(operation, "Failed")).toBe(stdout);
    }
  });
});

describe("running again", () => {
  /** Velero refuses this each time: nothing may be both in and out. */
  const CONTRADICTION = { includedResources: ["configmaps"], excludedResources: ["configmaps"] };
  const REFUSED = {
    Accepted: "False/VeleroBackupValidationFailed",
    Running: "False/VeleroBackupValidationFailed",
    Failed: "True/VeleroBackupValidationFailed",
  };

  /** The end of an attempt: its Job is done as well. */
  async function endOf(attempt: number): Promise<Operation> {
    await until("refused", `jsonpath={.status.runner.attempt}=${attempt}`);
    const operation = await until("refused", phaseIs("Failed"));
    await waitFor(
      cluster,
      ["job", operation.status?.runner?.jobName ?? "", "-n", SYSTEM_NAMESPACE],
      "condition=Failed",
    );
    return operation;
  }

  beforeAll(async () => {
    await apply("refused", CONTRADICTION);
    expect(conditionsOf(await endOf(1))).toEqual(REFUSED);
  });

  it("happens once for each token", async () => {
    await annotate(cluster, TEAM, "refused", { [RERUN]: "again" });
    const second = await endOf(2);
    await annotate(cluster, TEAM, "refused", { [RERUN]: "again", "example.com/touched": "yes" });
    await annotate(cluster, TEAM, "refused", { [RERUN]: "and again" });
    const third = await endOf(3);

    expect(conditionsOf(third)).toEqual(REFUSED);
    expect(third.status).toMatchObject({ observedRerun: "and again", runner: { attempt: 3 } });
    expect(third.status?.history).toMatchObject([
      { attempt: 1, phase: "Failed", reason: "VeleroBackupValidationFailed", engineRef: { name: "refused" } },
      { attempt: 2, phase: "Failed", jobName: second.status?.runner?.jobName, engineRef: second.status?.engineRef },
    ]);
    const jobs = [1, 2, 3].map((attempt) => jobName(third.metadata, attempt));
    expect((await jobsOf(cluster, third)).map(({ metadata }) => metadata.name).sort()).toEqual(jobs.sort());
  });

  it.each([
    [4, "from the template"],
    [5, "in the place of the old one"],
    [6, "beside the old one"],
  ] as const)("happens by a Job made by hand, as the README says: attempt %i, %s", async (attempt, way) => {
    const made = await byHand("refused", way);
    const ended = await endOf(attempt);
    const { name, uid } = made.metadata;
    expect(ended.status?.runner).toMatchObject({ jobName: name, requestedBy: [uid], jobUIDs: [uid] });
    expect(ended.status?.history).toHaveLength(attempt - 1);
    expect(conditionsOf(ended)).toEqual(REFUSED);
  });

  it("is refused while cancel is set, by either way, and happens when it is taken away", async () => {
    await annotate(cluster, TEAM, "refused", { ...CANCEL, [RERUN]: "though cancelled" });
    await until("refused", "condition=Blocked");
    const made = await byHand("refused", "from the template");
    await waitFor(cluster, ["job", made.metadata.name, "-n", SYSTEM_NAMESPACE], "condition=Failed");
    expect(await lastWordsOf(cluster, made)).toMatchObject({
      message: expect.stringContaining("remove ops.vworkspace.io/cancel"),
    });
    const refused = await readOperation(cluster, TEAM, "refused");
    expect(conditionsOf(refused)).toEqual({ ...REFUSED, Blocked: "True/RerunRefused" });
    expect(messageOf(refused, "Blocked")).toContain("remove ops.vworkspace.io/cancel first");
    expect(refused.status?.runner?.attempt).toBe(6);

    await annotate(cluster, TEAM, "refused", { "ops.vworkspace.io/cancel": null });
    expect(conditionsOf(await endOf(7))).toEqual(REFUSED);
  });

  it("never happens to one that succeeded", async () => {
    await apply("fine");
    const before = await until("fine", phaseIs("Succeeded"));
    await annotate(cluster, TEAM, "fine", { [RERUN]: "once more" });
    const made = await byHand("fine", "from the template");
    await waitFor(cluster, ["job", made.metadata.name, "-n", SYSTEM_NAMESPACE], "condition=Complete");
    expect((await readOperation(cluster, TEAM, "fine")).status).toEqual(before.status);
    const backups = ["backups.velero.io", "-n", VELERO_NAMESPACE, "-l", `${Label.operation}=${before.metadata.uid}`];
    expect(await listObjects(cluster, backups)).toHaveLength(1);
  });
});

describe("a runner that cannot do its work", () => {
  let putBack: () => Promise<void>;

  // Without a second try, so that a test sees at once what is counted as one.
  beforeAll(async () => {
    putBack = await changeTemplates(cluster, ({ spec }) => {
      spec.backoffLimit = 0;
    });
    return () => putBack();
  });

  it.skipIf(lacks(cluster, "kill-pod", "pause-object-store"))(
    "dies without a word while Velero is at work: that is told, and another Job follows the same backup to its end",
    async () => {
      const name = "resumed";
      const deserted = await whileStoreHangs(cluster, async () => {
        await apply(name);
        await until(name, phaseIs("Running"));
        await cluster.killPod(SYSTEM_NAMESPACE, await runnerPodOf(cluster, TEAM, name), "SIGKILL");
        const told = async () => messageOf(await readOperation(cluster, TEAM, name), "Running");
        await expect.poll(told, { timeout: 60_000 }).toMatch(/exit code 137.*BackoffLimitExceeded/);
        return await readOperation(cluster, TEAM, name);
      });
      const { status } = await until(name, phaseIs("Succeeded"));
      expect(status?.engineRef).toEqual(deserted.status?.engineRef);
      expect(status?.runner?.attempt).toBe(1);
      expect(status?.history).toBeUndefined();
      expect(status?.runner?.jobUIDs).toHaveLength(2);
    },
  );

  it.skipIf(lacks(cluster, "evict-pod", "pause-object-store"))(
    "is evicted: that is no failure, and another one goes on",
    async () => {
      await whileStoreHangs(cluster, async () => {
        await apply("evicted");
        await until("evicted", phaseIs("Running"));
        await cluster.evictPod(SYSTEM_NAMESPACE, await runnerPodOf(cluster, TEAM, "evicted"));
      });
      const operation = await until("evicted", phaseIs("Succeeded"));
      expect(operation.status?.runner).toMatchObject({ attempt: 1, jobUIDs: [expect.any(String)] });
      const [job] = await jobsOf(cluster, operation);
      await awaitJob(cluster, operation, "Complete");
      expect(job?.metadata.uid).toBe(operation.status?.runner?.jobUIDs?.[0]);
    },
  );

  /** Of these the dispatcher may make Jobs. */
  async function allowImages(images: string): Promise<void> {
    const annotation = `ops.vworkspace.io/job-images=${images}`;
    await systemKubectl(cluster, "annotate", "namespace", SYSTEM_NAMESPACE, "--overwrite", annotation);
  }

  it("has no image: the Operation says so, and goes on once the template is mended and the Job deleted", async () => {
    const mend = await changeTemplates(cluster, ({ spec }) => {
      spec.template.spec.containers[0].image = "registry.example.com/no-such-image:1";
    });
    await allowImages("ghcr.io/vworkspace-io/operation-runner, registry.example.com/no-such-image");
    try {
      await apply("no-image");
      const reason = "jsonpath={.status.conditions[?(@.type=='Running')].reason}";
      const stuck = await until("no-image", `${reason}=ImagePullBackOff`);
      expect(messageOf(stuck, "Running")).toContain("registry.example.com/no-such-image:1");
      expect(stuck.status?.phase).toBe("Pending");
    } finally {
      await mend();
      await allowImages("ghcr.io/vworkspace-io/operation-runner");
    }
    await cluster.kubectl(["delete", "jobs", "-n", SYSTEM_NAMESPACE, "-l", `${Label.operationName}=no-image`]);
    const { status } = await until("no-image", phaseIs("Succeeded"));
    expect(status?.runner?.attempt).toBe(1);
  });

  it("dies at its start: the Operation has failed, with what it said last", async () => {
    const mend = await changeTemplates(cluster, ({ spec }) => {
      spec.template.spec.containers[0].env.push({ name: "NODE_OPTIONS", value: "--no-such-option" });
    });
    try {
      await apply("stillborn");
      const failed = await until("stillborn", phaseIs("Failed"));
      expect(conditionsOf(failed)).toMatchObject({ Failed: "True/RunnerFailed" });
      expect(messageOf(failed, "Failed")).toMatch(/--no-such-option.*exit code 9.*BackoffLimitExceeded/);
    } finally {
      await mend();
    }
  });
});
