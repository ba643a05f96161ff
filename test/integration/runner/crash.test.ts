import { expect, test } from "vitest";
import { backups } from "../../../src/api/velero.ts";
import { operationSelector } from "../../../src/runner/plan.ts";
import { client, conditionsOf, Died, type Stage, stages } from "./stage.ts";

const openStage = stages();

/** More calls than any run makes; the test ends at the first call that a run does not reach. */
const MAX_CALLS = 80;

test("a run that dies at any of its calls is carried on by the next, to one end with one object", async () => {
  const stage = await openStage();
  for (let call = 1; ; call += 1) {
    expect(call).toBeLessThan(MAX_CALLS);
    const died = await Promise.all([
      runDyingAt(stage, `before-${call}`, { call, when: "before" }),
      runDyingAt(stage, `after-${call}`, { call, when: "after" }),
    ]);
    if (!died.includes(true)) {
      // Joining, creating, following, four downloads and the end: fewer calls would mean that nothing was tried.
      expect(call).toBeGreaterThan(20);
      return;
    }
  }
});

/** @returns whether the first run lived to that call */
async function runDyingAt(
  stage: Stage,
  name: string,
  dies: { call: number; when: "before" | "after" },
): Promise<boolean> {
  const operation = await stage.admitted(name, { type: "Backup" });
  const job = { uid: `job of ${name}` };
  const played = (async () => {
    await stage.velero.created("Backup", name);
    await stage.velero.says("Backup", name, { phase: "InProgress", progress: { totalItems: 3 } });
    await stage.velero.says("Backup", name, { phase: "Completed", progress: { totalItems: 3, itemsBackedUp: 3 } });
  })();
  const first = await stage.start(operation, { job, dies }).ended.catch((error: unknown) => error);
  const second = await stage.start(operation, { job }).ended;
  await played;

  expect(second, name).toMatchObject({ exitCode: 0 });
  const done = await stage.read(name);
  expect(conditionsOf(done), name).toEqual({
    Accepted: "True/TemplateValidated",
    Running: "False/VeleroBackupSucceeded",
    Succeeded: "True/VeleroBackupCompleted",
  });
  const { items } = await client.list(backups, {
    namespace: stage.velero.namespace,
    labelSelector: operationSelector(operation.metadata.uid),
  });
  expect(items.map(({ metadata }) => metadata.name)).toEqual([name]);
  expect(done.status).toMatchObject({
    engineRef: { name, uid: items[0]?.metadata.uid },
    runner: { attempt: 1, jobUIDs: [job.uid] },
    outputs: { backupName: name, backupItemCount: "3" },
  });
  expect(done.status?.history).toBeUndefined();
  return first instanceof Died;
}
