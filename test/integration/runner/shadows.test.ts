import { expect, test } from "vitest";
import { type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

/** A Backup that Velero refused or failed while an older one has its name in the object store must not live to its ttl. */

const openStage = runnerFixtures();
const backup = { type: "Backup", parameters: { storageLocation: "default" } };
const COLLIDED = { phase: "Failed", failureReason: "backup already exists in object storage" };
const INVALID = { phase: "FailedValidation", validationErrors: ["no such location"] };

/** An Operation whose Backup b1 is New, and whose run was killed. */
async function abandoned(fixture: RunnerFixture) {
  const operation = await fixture.admitted("b1", backup);
  const first = fixture.start(operation, { job: { uid: "u1" } });
  const shown = await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
  first.stop();
  await expect(first.ended).rejects.toThrow("killed");
  return shown;
}

async function names(fixture: RunnerFixture): Promise<string[]> {
  return (await fixture.velero.all("Backup")).map(({ metadata: { name } }) => name);
}

test.each([
  ["its runner gave up before Velero refused it", "RunnerFailed", COLLIDED],
  ["its runner died after it had written the end", "VeleroBackupValidationFailed", INVALID],
])("a re-run removes that of an earlier attempt: %s", async (_, reason, status) => {
  const fixture = await openStage();
  const operation = await abandoned(fixture);
  await fixture.velero.setStatus("Backup", "b1", status);
  const failed = { type: "Failed", status: "True", reason, message: "as it ended" } as const;
  await fixture.write(operation, { phase: "Failed", conditions: [failed] });

  const { ended } = fixture.start(operation, { job: { uid: "u2" }, uid: null });
  await fixture.open("b1", "u2");
  await fixture.admit("b1", 2);
  const again = await fixture.until(
    "b1",
    ({ engineRef, runner }) => runner?.attempt === 2 && engineRef?.uid !== undefined,
  );
  const name = again.status?.engineRef?.name ?? "";
  expect(await names(fixture)).toEqual([name]);
  await fixture.velero.setStatus("Backup", name, { phase: "Completed" });
  expect(await ended).toMatchObject({ exitCode: 0 });
  expect(await names(fixture)).toEqual([name]);
});

test.each([
  ["refused as invalid", INVALID],
  ["refused for its name", COLLIDED],
])("an Operation that is deleted leaves none behind that was %s", async (_, status) => {
  const fixture = await openStage();
  const operation = await abandoned(fixture);
  await fixture.velero.setStatus("Backup", "b1", status);
  await fixture.remove("b1");
  expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 0 });
  expect(await names(fixture)).toEqual([]);
});

test.each([
  ["goes when the store has an older one's files", -3_600_000, []],
  ["goes when the store does not tell whose files it has", undefined, []],
  ["stays when the files are its own", 3_600_000, ["b1"]],
])("one that failed before Velero looked whether its name is free %s", async (_, writtenMs, left) => {
  const fixture = await openStage();
  fixture.velero.archiveWritten = writtenMs === undefined ? undefined : new Date(Date.now() + writtenMs);
  const { ended } = fixture.start(await fixture.admitted("b1", backup));
  await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", { phase: "Failed", failureReason: "plugin crashed" });
  expect(await ended).toMatchObject({ exitCode: 2, message: "plugin crashed" });
  expect(await names(fixture)).toEqual(left);
});
