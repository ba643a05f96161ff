import { expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { client, conditionsOf, stages } from "./runnerFixture.ts";

// A runner carries out what was admitted, when it was admitted.

const openStage = stages();
const restore = (stage: { namespace: string }) => ({
  type: "Restore",
  parameters: { backupName: "b", namespaceMapping: { elsewhere: stage.namespace } },
});

test("a spec that is not the one that was admitted is not carried out", async () => {
  const stage = await openStage();
  const admitted = await stage.admitted("b1", { type: "Backup", parameters: { excludedResources: ["secrets"] } });
  const operation = await stage.write(admitted, { admittedSpec: `sha256:${"0".repeat(64)}` });
  expect(await stage.start(operation).ended).toMatchObject({ exitCode: 2 });
  expect(conditionsOf(await stage.read("b1"))).toMatchObject({
    Accepted: "False/SpecChanged",
    Failed: "True/SpecChanged",
  });
  expect(await stage.velero.all("Backup")).toEqual([]);
});

test("a Restore from another namespace whose Job waited too long is not carried out", async () => {
  const stage = await openStage();
  const admitted = await stage.admitted("r1", restore(stage));
  const request = { digest: "sha256:x", ...admitted.status?.request, at: "2026-01-01T00:00:00Z" };
  expect(await stage.start(await stage.write(admitted, { request })).ended).toMatchObject({ exitCode: 2 });
  expect(conditionsOf(await stage.read("r1"))).toMatchObject({ Failed: "True/AuthorizationExpired" });
});

test("what an older version admitted waits until it is noted what that was", async () => {
  const stage = await openStage();
  const admitted = await stage.admitted("b1", { type: "Backup" });
  const { admittedSpec, ...unnoted } = admitted.status ?? {};
  const operation = await client.replaceStatus(operations, { ...admitted, status: unnoted });
  const run = stage.start(operation);
  await stage.write(await stage.read("b1"), { ...(admittedSpec && { admittedSpec }) });
  const made = await stage.velero.created("Backup", "b1");
  await stage.velero.says("Backup", made.metadata.name, { phase: "Completed" });
  expect(await run.ended).toMatchObject({ exitCode: 0 });
});
