import { describe, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { resumeAttempt } from "../../../src/api/status.ts";
import { accepted, client, conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const backup = { type: "Backup", parameters: { storageLocation: "default" } };

/** An Operation whose Backup failed in its first attempt, worked on by the Job with uid `u1`. */
async function failed(fixture: RunnerFixture) {
  // Its own files, certainly: else it would be removed.
  fixture.velero.archiveWritten = new Date(Date.now() + 3_600_000);
  const operation = await fixture.admitted("b1", backup);
  const { ended } = fixture.start(operation, { job: { name: "first", uid: "u1" } });
  await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", { phase: "Failed", failureReason: "no space" });
  expect(await ended).toMatchObject({ exitCode: 2 });
  return operation;
}

describe("a run that may not act says why, and writes nothing", () => {
  test("no such Operation", async () => {
    const fixture = await openStage();
    const operation = await fixture.request("b1", backup);
    const typo = { ...operation, metadata: { ...operation.metadata, name: "typo" } };
    const { ended } = fixture.start(typo, { uid: null });
    expect(await ended).toEqual({ exitCode: 2, message: `there is no Operation ${fixture.namespace}/typo` });
  });

  test.each([
    ["nobody has admitted it", undefined, "not admitted: the dispatcher has not accepted the Operation yet"],
    ["it was refused", [accepted("False", "TargetNotFound")], "not admitted: TargetNotFound: as the dispatcher says"],
    [
      "it is blocked",
      [
        accepted("True", "TemplateValidated"),
        { type: "Blocked", status: "True", reason: "AwaitingApproval", message: "no claim" } as const,
      ],
      "not admitted: AwaitingApproval: no claim",
    ],
  ])("%s", async (_, conditions, message) => {
    const fixture = await openStage();
    const requested = await fixture.request("b1", backup);
    const operation =
      conditions === undefined ? requested : await fixture.write(requested, { phase: "Pending", conditions });
    expect(await fixture.start(operation, { uid: null }).ended).toEqual({ exitCode: 2, message });
    expect(await fixture.read("b1")).toEqual(operation);
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("it came out of a backup", async () => {
    const fixture = await openStage();
    const labels = { "velero.io/restore-name": "r1" };
    const operation = await fixture.admitted("b1", backup, { labels });
    expect(await fixture.start(operation, { uid: null }).ended).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("RestoredCopy"),
    });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("it is another program's", async () => {
    const fixture = await openStage();
    const operation = await fixture.request("b1", { type: "Upgrade", engine: "helm" });
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
    expect(await fixture.read("b1")).toEqual(operation);
  });
});

describe("an attempt that is over", () => {
  test("that succeeded is never run again, whoever asks", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const { ended } = fixture.start(operation);
    await fixture.velero.created("Backup", "b1");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    await ended;
    const done = await fixture.read("b1");
    expect(await fixture.start(operation, { uid: null }).ended).toMatchObject({ exitCode: 0 });
    expect(await fixture.read("b1")).toEqual(done);
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });

  test("that failed ends a restarted pod of the same Job as it ended", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    const done = await fixture.read("b1");
    expect(await fixture.start(operation, { job: { name: "first", uid: "u1" } }).ended).toMatchObject({
      exitCode: 2,
      message: "no space",
    });
    expect(await fixture.read("b1")).toEqual(done);
  });

  test("that failed is run again by a Job made by hand: a new attempt with a new object", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    const again = fixture.start(operation, { job: { name: "by-hand", uid: "u2" }, uid: null });
    await fixture.open("b1", "u2");
    await fixture.admit("b1", 2);
    const ready = await fixture.until(
      "b1",
      ({ engineRef, runner }) => runner?.attempt === 2 && engineRef?.uid !== undefined,
    );
    const name = ready.status?.engineRef?.name ?? "";
    expect(name).toMatch(/^b1-[0-9a-f]{8}$/);
    expect(ready.status).toMatchObject({
      phase: "Pending",
      runner: { attempt: 2, jobName: "by-hand", requestedBy: ["u2"], jobUIDs: ["u2"] },
      history: [
        {
          attempt: 1,
          phase: "Failed",
          reason: "VeleroBackupFailed",
          message: "no space",
          jobName: "first",
          engineRef: { name: "b1" },
        },
      ],
    });
    expect(conditionsOf(ready)).toEqual({ Accepted: "True/TemplateValidated", Running: "False/Pending" });
    await fixture.velero.setStatus("Backup", name, { phase: "Completed" });
    expect(await again.ended).toMatchObject({ exitCode: 0 });

    // A pod of the first Job that comes late must not open a third attempt, nor count as success.
    const done = await fixture.read("b1");
    expect(await fixture.start(operation, { job: { name: "first", uid: "u1" } }).ended).toMatchObject({ exitCode: 2 });
    expect(await fixture.read("b1")).toEqual(done);
  });

  test("that failed is not run again by a Job on its own: until the dispatcher has opened an attempt, nothing happens", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    const before = await fixture.read("b1");
    let waits = () => {};
    const waiting = new Promise<void>((resolve) => {
      waits = resolve;
    });
    const again = fixture.start(operation, {
      job: { name: "by-hand", uid: "u2" },
      meanwhile: async (call) => {
        if (call.startsWith("list operations")) waits();
      },
    });
    await waiting;
    // As the dispatcher does with one of its own that came too late.
    await fixture.write(before, { runner: { ...before.status?.runner, jobUIDs: ["u1", "u2"] } });
    expect(await again.ended).toMatchObject({ exitCode: 2, message: "no space" });
    expect((await fixture.read("b1")).status).toMatchObject({ phase: "Failed", runner: { attempt: 1 } });
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });

  test("that failed and is opened for one Job made by hand is carried out by another one as well", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    const runs = ["u2", "u3"].map((uid) => fixture.start(operation, { job: { name: uid, uid }, uid: null }));
    await fixture.open("b1", "u2");
    await fixture.admit("b1", 2);
    const ready = await fixture.until(
      "b1",
      ({ engineRef, runner }) => engineRef?.uid !== undefined && runner?.jobUIDs?.length === 2,
    );
    expect(ready.status?.runner).toMatchObject({ attempt: 2 });
    await fixture.velero.setStatus("Backup", ready.status?.engineRef?.name ?? "", { phase: "Completed" });
    for (const { ended } of runs) expect(await ended).toMatchObject({ exitCode: 0 });
    expect(await fixture.velero.all("Backup")).toHaveLength(2);
  });

  test("is not run again while cancel is set", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    await fixture.annotate("b1", { "ops.vworkspace.io/cancel": "true" });
    const before = await fixture.read("b1");
    expect(await fixture.start(operation, { job: { uid: "u2" }, uid: null }).ended).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("remove ops.vworkspace.io/cancel first"),
    });
    expect(await fixture.read("b1")).toEqual(before);
  });

  test("is not run again once cancel is set, though its Job waits for that already", async () => {
    const fixture = await openStage();
    const operation = await failed(fixture);
    const { ended } = fixture.start(operation, {
      job: { uid: "u2" },
      uid: null,
      meanwhile: async (call) => {
        if (call.startsWith("list operations")) await fixture.annotate("b1", { "ops.vworkspace.io/cancel": "true" });
      },
    });
    expect(await ended).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining("remove ops.vworkspace.io/cancel first"),
    });
  });

  test("without a result, because its runner gave up, goes on with the object that still lives", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation, { job: { name: "first", uid: "u1" } });
    await fixture.velero.created("Backup", "b1");
    const ready = await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.write(ready, {
      phase: "Failed",
      conditions: [{ type: "Failed", status: "True", reason: "RunnerFailed", message: "OOMKilled" }],
    });
    const again = fixture.start(operation, { job: { name: "by-hand", uid: "u2" }, uid: null });
    const gaveUp = await fixture.read("b1");
    const status = resumeAttempt(gaveUp.status ?? {});
    await client.replaceStatus(operations, { ...gaveUp, status });
    const resumed = await fixture.until("b1", ({ runner }) => runner?.jobUIDs?.includes("u2") === true);
    expect(resumed.status).toMatchObject({
      phase: "Pending",
      engineRef: ready.status?.engineRef,
      runner: { attempt: 1, jobUIDs: ["u1", "u2"] },
    });
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    expect(await again.ended).toMatchObject({ exitCode: 0 });
    const done = await fixture.read("b1");
    expect(done.status?.history).toBeUndefined();
    expect(conditionsOf(done)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "False/VeleroBackupSucceeded",
      Succeeded: "True/VeleroBackupCompleted",
    });
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });
});
