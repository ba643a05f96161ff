import { expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { client, conditionsOf, runnerFixtures } from "./runnerFixture.ts";

// A runner carries out what was admitted, when it was admitted.

const openStage = runnerFixtures();
const restore = (fixture: { namespace: string }) => ({
  type: "Restore",
  parameters: { backupName: "b", namespaceMapping: { elsewhere: fixture.namespace } },
});

test("a spec that is not the one that was admitted is not carried out", async () => {
  const fixture = await openStage();
  const admitted = await fixture.admitted("b1", { type: "Backup", parameters: { excludedResources: ["secrets"] } });
  const operation = await fixture.write(admitted, { admittedSpec: `sha256:${"0".repeat(64)}` });
  expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
  expect(conditionsOf(await fixture.read("b1"))).toMatchObject({
    Accepted: "False/SpecChanged",
    Failed: "True/SpecChanged",
  });
  expect(await fixture.velero.all("Backup")).toEqual([]);
});

test("a Restore from another namespace whose Job waited too long is not carried out", async () => {
  const fixture = await openStage();
  const admitted = await fixture.admitted("r1", restore(fixture));
  const request = { digest: "sha256:x", ...admitted.status?.request, at: "2026-01-01T00:00:00Z" };
  expect(await fixture.start(await fixture.write(admitted, { request })).ended).toMatchObject({ exitCode: 2 });
  expect(conditionsOf(await fixture.read("r1"))).toMatchObject({ Failed: "True/AuthorizationExpired" });
});

test("what an older version admitted waits until it is noted what that was", async () => {
  const fixture = await openStage();
  const admitted = await fixture.admitted("b1", { type: "Backup" });
  const { admittedSpec, ...unnoted } = admitted.status ?? {};
  const operation = await client.replaceStatus(operations, { ...admitted, status: unnoted });
  const run = fixture.start(operation);
  await fixture.write(await fixture.read("b1"), { ...(admittedSpec && { admittedSpec }) });
  const made = await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", made.metadata.name, { phase: "Completed" });
  expect(await run.ended).toMatchObject({ exitCode: 0 });
});
