import { describe, expect, test } from "vitest";
import { ApiError } from "../../../src/kube/errors.ts";
import { conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const backup = { type: "Backup", parameters: {} };

/** How an API server answers while RBAC or a CRD is applied again, or when it has just started. */
const REFUSALS: [string, (call: string) => ApiError][] = [
  ["401", (call) => new ApiError(call, 401, { kind: "Status", reason: "Unauthorized", message: "Unauthorized" })],
  ["403", (call) => new ApiError(call, 403, { kind: "Status", reason: "Forbidden", message: "forbidden" })],
  ["404 of the kind", (call) => new ApiError(call, 404, "404 page not found\n")],
];

/** Refuses each kind of call that begins with one of these, twice. */
function refusing(calls: readonly string[], refusal: (call: string) => ApiError) {
  const left = new Map(calls.map((call) => [call, 2]));
  return {
    left,
    meanwhile: async (call: string) => {
      const begin = calls.find((each) => call.startsWith(each)) ?? "";
      const count = left.get(begin) ?? 0;
      if (count === 0) return;
      left.set(begin, count - 1);
      throw refusal(call);
    },
  };
}

async function expectSucceeded(fixture: RunnerFixture, uid: string | undefined): Promise<void> {
  const operation = await fixture.read("b1");
  expect(conditionsOf(operation)).toMatchObject({ Succeeded: "True/VeleroBackupCompleted" });
  expect(operation.status?.runner?.attempt).toBe(1);
  expect((await fixture.velero.all("Backup")).map(({ metadata }) => metadata.uid)).toEqual([uid]);
}

describe.each(REFUSALS)("a %s for a moment", (_, refusal) => {
  test("while a backup is followed is waited out", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const { left, meanwhile } = refusing(["replace status of operations"], refusal);
    let recorded = false;
    const run = fixture.start(operation, { meanwhile: (call) => (recorded ? meanwhile(call) : Promise.resolve()) });
    const { engineRef } = (await fixture.until("b1", (status) => status.engineRef?.uid !== undefined)).status ?? {};
    recorded = true;
    await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
    await fixture.until("b1", ({ phase }) => phase === "Running");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    expect(await run.ended).toMatchObject({ exitCode: 0 });
    expect([...left.values()]).toEqual([0]);
    await expectSucceeded(fixture, engineRef?.uid);
  });

  test("when the next run starts neither ends the attempt nor takes its backup for gone", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation);
    const { engineRef } = (await fixture.until("b1", (status) => status.engineRef?.uid !== undefined)).status ?? {};
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    const { left, meanwhile } = refusing(["get operations", "get backups"], refusal);
    expect(await fixture.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 0 });
    expect([...left.values()]).toEqual([0, 0]);
    await expectSucceeded(fixture, engineRef?.uid);
  });

  test("does not keep a run from cleaning up after its Operation", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation);
    await fixture.velero.created("Backup", "b1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.remove("b1");
    const { left, meanwhile } = refusing(["list backups", "list restores"], refusal);
    expect(await fixture.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 0 });
    expect(left.get("list backups")).toBe(0);
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });
});
