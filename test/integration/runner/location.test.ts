import { beforeEach, describe, expect, test } from "vitest";
import type { Operation, OperationType } from "../../../src/api/operation.ts";
import { conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

/** What becomes of an attempt whose storage location is not to be had. docs/contract.md#hand-back. */

const openStage = runnerFixtures();

const REFUSALS = {
  Backup: "backup can't be created because BackupStorageLocation default is in Unavailable status.",
  Restore: "The BSL default is unavailable, cannot retrieve the backup",
};
const HANDED_BACK = {
  Accepted: "Unknown/Pending",
  Blocked: "True/StorageLocationUnavailable",
  Running: "False/Pending",
};

let fixture: RunnerFixture;
let type: OperationType;

/** An admitted Operation x1. */
async function admitted(): Promise<Operation> {
  if (type === "Restore") {
    const spec = { includedNamespaces: [fixture.namespace], storageLocation: "default" };
    await fixture.velero.make("Backup", "source", { spec, status: { phase: "Completed" } });
  }
  return await fixture.admitted("x1", { type, parameters: type === "Restore" ? { backupName: "source" } : {} });
}

/** What Velero writes when it refuses: it has taken the location down by then. */
async function refused(error: string = REFUSALS[type]): Promise<void> {
  await fixture.velero.created(type, "x1");
  await fixture.velero.setStatus(type, "x1", { phase: "FailedValidation", validationErrors: [error] });
}

describe.each(["Backup", "Restore"] as const)("a %s that Velero refused for its location", (which) => {
  beforeEach(async () => {
    fixture = await openStage();
    type = which;
  });

  test("is handed back, and made anew once it is admitted again", async () => {
    const run = fixture.start(await admitted(), { job: { name: "x1-job", uid: "u1" } });
    await refused();
    const waiting = await fixture.handedBack("x1");
    expect(conditionsOf(waiting)).toEqual(HANDED_BACK);
    expect(waiting.status).toMatchObject({ phase: "Pending", runner: { attempt: 1, jobUIDs: ["u1"] } });
    expect(waiting.status?.engineRef).toBeUndefined();
    expect(waiting.status?.outputs).toBeUndefined();
    const message = waiting.status?.conditions?.find((one) => one.type === "Blocked")?.message;
    expect(message).toContain(`Velero did not run the ${type}`);
    await fixture.velero.until(type, "x1", (object) => object === undefined);

    await fixture.readmit("x1");
    await fixture.velero.created(type, "x1");
    await fixture.velero.setStatus(type, "x1", { phase: "Completed" });
    expect(await run.ended).toMatchObject({ exitCode: 0 });
    const done = await fixture.read("x1");
    expect(conditionsOf(done)).toEqual({
      Accepted: "True/TemplateValidated",
      Blocked: "False/Unblocked",
      Running: `False/Velero${type}Succeeded`,
      Succeeded: `True/Velero${type}Completed`,
    });
    expect(done.status?.runner?.attempt).toBe(1);
  });

  test("ends as it does without a location when anything else is wrong, too", async () => {
    const run = fixture.start(await admitted());
    await fixture.velero.created(type, "x1");
    const validationErrors = [REFUSALS[type], "Invalid included/excluded resource lists"];
    await fixture.velero.setStatus(type, "x1", { phase: "FailedValidation", validationErrors });
    expect(await run.ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("x1"))).toMatchObject({ Failed: `True/Velero${type}ValidationFailed` });
  });

  test("is not waited for because of what a tenant wrote", async () => {
    const run = fixture.start(await admitted());
    await refused(`Invalid included/excluded resource lists: ${REFUSALS[type]}`);
    expect(await run.ended).toMatchObject({ exitCode: 2 });
  });

  test("is over when it is cancelled while it waits", async () => {
    const run = fixture.start(await admitted());
    await refused();
    const waiting = await fixture.handedBack("x1");
    // As the dispatcher does: nothing of it is begun.
    await fixture.write(waiting, {
      phase: "Failed",
      conditions: [{ type: "Cancelled", status: "True", reason: "CancelledByUser", message: "cancelled" }],
    });
    expect(await run.ended).toMatchObject({ exitCode: 2, message: "cancelled" });
    expect(await fixture.velero.all(type)).toEqual([]);
  });
});

describe("a Restore whose files cannot be read", () => {
  beforeEach(async () => {
    fixture = await openStage();
    type = "Restore";
  });

  test("waits before Velero is asked, saying for what", async () => {
    await fixture.location("Unavailable");
    const run = fixture.start(await admitted());
    const waiting = await fixture.handedBack("x1");
    expect(conditionsOf(waiting)).toEqual(HANDED_BACK);
    expect(waiting.status?.runner?.storageLocation).toBe("default");
    expect(waiting.status?.conditions?.find((one) => one.type === "Blocked")?.message).toBe(
      'BackupStorageLocation "default" is Unavailable',
    );
    expect(await fixture.velero.all("Restore")).toEqual([]);
    await fixture.location("Available");
    await fixture.readmit("x1");
    await fixture.velero.created("Restore", "x1");
    run.stop();
  });

  test("is restored from a location that is ReadOnly", async () => {
    await fixture.location("ReadOnly");
    const run = fixture.start(await admitted());
    await fixture.velero.created("Restore", "x1");
    run.stop();
  });

  test("tells nothing of the location of another team's backup", async () => {
    await fixture.location("Unavailable");
    const spec = { includedNamespaces: ["org-theirs"], storageLocation: "default" };
    await fixture.velero.make("Backup", "theirs", { spec, status: { phase: "Completed" } });
    const operation = await fixture.admitted("x1", { type, parameters: { backupName: "theirs" } });
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("x1"))).toMatchObject({ Failed: "True/RestoreForbidden" });
  });
});
