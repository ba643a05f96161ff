import { describe, expect, test } from "vitest";
import { ApiError } from "../../../src/kube/errors.ts";
import { conditionsOf, type Stage, stages } from "./runnerFixture.ts";

const openStage = stages();
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

async function expectSucceeded(stage: Stage, uid: string | undefined): Promise<void> {
  const operation = await stage.read("b1");
  expect(conditionsOf(operation)).toMatchObject({ Succeeded: "True/VeleroBackupCompleted" });
  expect(operation.status?.runner?.attempt).toBe(1);
  expect((await stage.velero.all("Backup")).map(({ metadata }) => metadata.uid)).toEqual([uid]);
}

describe.each(REFUSALS)("a %s for a moment", (_, refusal) => {
  test("while a backup is followed is waited out", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup);
    const { left, meanwhile } = refusing(["get operations", "replace status of operations"], refusal);
    let recorded = false;
    const run = stage.start(operation, { meanwhile: (call) => (recorded ? meanwhile(call) : Promise.resolve()) });
    const { engineRef } = (await stage.until("b1", (status) => status.engineRef?.uid !== undefined)).status ?? {};
    recorded = true;
    await stage.velero.says("Backup", "b1", { phase: "InProgress" });
    await stage.until("b1", ({ phase }) => phase === "Running");
    await stage.velero.says("Backup", "b1", { phase: "Completed" });
    expect(await run.ended).toMatchObject({ exitCode: 0 });
    expect([...left.values()]).toEqual([0, 0]);
    await expectSucceeded(stage, engineRef?.uid);
  });

  test("when the next run starts neither ends the attempt nor takes its backup for gone", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup);
    const first = stage.start(operation);
    const { engineRef } = (await stage.until("b1", (status) => status.engineRef?.uid !== undefined)).status ?? {};
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await stage.velero.says("Backup", "b1", { phase: "Completed" });
    const { left, meanwhile } = refusing(["get operations", "get backups"], refusal);
    expect(await stage.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 0 });
    expect([...left.values()]).toEqual([0, 0]);
    await expectSucceeded(stage, engineRef?.uid);
  });

  test("does not keep a run from cleaning up after its Operation", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup);
    const first = stage.start(operation);
    await stage.velero.created("Backup", "b1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await stage.remove("b1");
    const { left, meanwhile } = refusing(["list backups", "list restores"], refusal);
    expect(await stage.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 0 });
    expect(left.get("list backups")).toBe(0);
    expect(await stage.velero.all("Backup")).toEqual([]);
  });
});
