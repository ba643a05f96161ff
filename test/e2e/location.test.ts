import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Operation } from "../../src/api/operation.ts";
import { ownCluster } from "../cluster/testCluster.ts";
import { shippedVelero, veleroModule } from "../cluster/veleroVersion.ts";
import { installApplication } from "../scenario/application.ts";
import { whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { backupOperation, restoreOperation } from "../scenario/operations.ts";
import {
  annotate,
  awaitOperation,
  CANCEL,
  conditionsOf,
  messageOf,
  phaseIs,
  veleroObjectsOf,
} from "../scenario/outcome.ts";
import { installPlatform, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

/** Storage locations that come and go: an Operation waits for them, and ends well when they are back. */

const cluster = await ownCluster();
const TEAM = "org-location";
const BLOCKED = 'jsonpath={.status.conditions[?(@.type=="Blocked")].reason}=StorageLocationUnavailable';
const LOCATION = ["backupstoragelocation/default", "-n", VELERO_NAMESPACE];

const until = (name: string, condition: string) => awaitOperation(cluster, TEAM, name, condition);
const apply = (name: string) => cluster.apply([backupOperation({ namespace: TEAM, name })]);
const restore = (name: string) =>
  cluster.apply([restoreOperation({ namespace: TEAM, name, parameters: { backupName: "whole" } })]);

async function change(patch: object): Promise<void> {
  const answer = await cluster.kubectl(["patch", ...LOCATION, "--type=merge", "-p", JSON.stringify(patch)]);
  if (answer.code !== 0) throw new Error(answer.stderr);
}

/** The bucket is gone. Velero, if it is there, finds that out; if not, it begins with what it has found. */
async function takeAway(phase?: "Unavailable"): Promise<void> {
  await change({ spec: { objectStorage: { bucket: "no-such-bucket" } }, ...(phase && { status: { phase } }) });
  await waitFor(cluster, LOCATION, "jsonpath={.status.phase}=Unavailable");
}

const giveBack = () => change({ spec: { objectStorage: { bucket } } });
let bucket: string;

const ended = (operation: Operation) => {
  const type = operation.spec?.type;
  expect(conditionsOf(operation)).toEqual({
    Accepted: "True/TemplateValidated",
    Blocked: "False/Unblocked",
    // All of it is there still.
    ...(type === "Restore" && { Degraded: "True/NothingRestored" }),
    Running: `False/Velero${type}Succeeded`,
    Succeeded: `True/Velero${type}Completed`,
  });
  expect(operation.status).toMatchObject({ runner: { attempt: 1 } });
};

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  await apply("whole");
  await until("whole", phaseIs("Succeeded"));
  bucket = (await cluster.kubectl(["get", ...LOCATION, "-o", "jsonpath={.spec.objectStorage.bucket}"])).stdout;
  await change({ spec: { validationFrequency: "1s" } });
});

afterEach(async () => {
  await change({ spec: { accessMode: "ReadWrite" } });
  await giveBack();
  await waitFor(cluster, LOCATION, "jsonpath={.status.phase}=Available");
});

describe("a location that Velero finds unavailable", () => {
  it("is waited for by a backup and a restore, which then end well by themselves", async () => {
    await takeAway();
    await apply("out-of-reach");
    await restore("out-of-reach-too");
    // In Velero's own words.
    expect(messageOf(await until("out-of-reach", BLOCKED), "Blocked")).toMatch(/"default" is Unavailable: .+bucket/i);
    expect(messageOf(await until("out-of-reach-too", BLOCKED), "Blocked")).toContain('"default" is Unavailable');
    await giveBack();
    for (const name of ["out-of-reach", "out-of-reach-too"]) ended(await until(name, phaseIs("Succeeded")));
  });

  // Before 1.16 Velero does not look at the location's phase: it asks the store, and fails.
  const looks = veleroModule(process.env) === shippedVelero;

  it.skipIf(!looks)("ends no Operation when it goes between admission and Velero's own look", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await apply("flap");
      await until("flap", "jsonpath={.status.engineRef.uid}");
      await takeAway("Unavailable");
    });
    const waiting = await until("flap", BLOCKED);
    expect(waiting.status?.phase).toBe("Pending");
    expect(await veleroObjectsOf(cluster, waiting)).toEqual([]);
    await giveBack();
    ended(await until("flap", phaseIs("Succeeded")));
  });

  it.skipIf(!looks)("ends no Restore when it goes between the runner's and Velero's own look", async () => {
    await whileVeleroIsDown(cluster, async () => {
      await restore("flap-too");
      await until("flap-too", "jsonpath={.status.engineRef.uid}");
      await takeAway("Unavailable");
    });
    expect((await until("flap-too", BLOCKED)).status?.phase).toBe("Pending");
    await giveBack();
    ended(await until("flap-too", phaseIs("Succeeded")));
  });

  it("holds up no cancel", async () => {
    await takeAway();
    await apply("unwanted");
    await restore("unwanted-too");
    for (const name of ["unwanted", "unwanted-too"]) {
      await until(name, BLOCKED);
      await annotate(cluster, TEAM, name, CANCEL);
      expect((await until(name, phaseIs("Failed"))).status?.reason).toBe("CancelledByUser");
    }
  });
});

describe("a default location that is ReadOnly", () => {
  it("is waited for by a backup, and restored from", async () => {
    await change({ spec: { accessMode: "ReadOnly" } });
    await apply("read-only");
    expect(messageOf(await until("read-only", BLOCKED), "Blocked")).toMatch(/"default" is ReadOnly$/);
    await restore("from-read-only");
    expect(conditionsOf(await until("from-read-only", phaseIs("Succeeded")))).toMatchObject({
      Succeeded: "True/VeleroRestoreCompleted",
    });
    await change({ spec: { accessMode: "ReadWrite" } });
    ended(await until("read-only", phaseIs("Succeeded")));
  });
});
