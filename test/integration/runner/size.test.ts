import { expect, test } from "vitest";
import { runnerFixtures } from "./runnerFixture.ts";

// etcd takes 1.5 MiB of one object, status included, and all but the status is the tenant's.

const openStage = runnerFixtures();

test("an outcome for which an Operation leaves no room is told shorter, and the run ends", async () => {
  const fixture = await openStage();
  const finalizers = Array.from({ length: 60_000 }, (_, at) => `example.com/${String(at).padStart(8, "0")}`);
  const spec = { type: "Backup", parameters: { storageLocation: "default" } };
  const operation = await fixture.admitted("b1", spec, { finalizers });
  const warnings = Array.from({ length: 2_000 }, (_, at) => `volume <${at}> & ${"w".repeat(100)}`);
  fixture.velero.results = { warnings: { velero: warnings }, errors: {} };
  const { ended } = fixture.start(operation);
  await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", { phase: "Completed", warnings: warnings.length });
  expect(await ended).toMatchObject({ exitCode: 0 });
  const { status } = await fixture.read("b1");
  expect(status).toMatchObject({
    phase: "Succeeded",
    outputs: { backupName: "b1", warningCount: "2000" },
  });
  const told = status?.outputs?.warnings;
  if (!Array.isArray(told)) throw new Error("no warnings are told");
  expect(told[0]).toBe(`velero: ${warnings[0]}`);
  expect(told.at(-1)).toMatch(/^\d+ more left out: the API server's store has no room/);
});
