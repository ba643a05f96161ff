import { expect, test } from "vitest";
import { DEFAULT_PLATFORM_EXCLUSIONS, platformExclusions } from "../../../src/api/platformExclusions.ts";
import { conditionsOf, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();

test("a restore names the backup's namespaces and leaves old Operations where they are", async () => {
  const fixture = await openStage();
  await fixture.velero.make("Backup", "source", {
    spec: { includedNamespaces: ["org-old"] },
    status: { phase: "PartiallyFailed" },
  });
  const parameters = { backupName: "source", namespaceMapping: { "org-old": fixture.namespace }, restorePVs: true };
  const { ended } = fixture.start(await fixture.admitted("r1", { type: "Restore", parameters }));
  expect(await fixture.velero.created("Restore", "r1")).toMatchObject({
    spec: {
      backupName: "source",
      includedNamespaces: ["org-old"],
      includedResources: ["*"],
      excludedResources: platformExclusions(DEFAULT_PLATFORM_EXCLUSIONS),
      namespaceMapping: { "org-old": fixture.namespace },
      restorePVs: true,
    },
  });
  await fixture.velero.setStatus("Restore", "r1", {
    phase: "InProgress",
    progress: { totalItems: 7, itemsRestored: 7 },
  });
  await fixture.velero.setStatus("Restore", "r1", { phase: "Completed" });
  expect(await ended).toMatchObject({ exitCode: 0 });
  const done = await fixture.read("r1");
  expect(conditionsOf(done)).toEqual({
    Accepted: "True/TemplateValidated",
    Running: "False/VeleroRestoreSucceeded",
    Succeeded: "True/VeleroRestoreCompleted",
  });
  expect(done.status?.outputs).toMatchObject({ restoreName: "r1", restoreItemCount: "7" });
});

test("a restore of what this cluster does not know, and of nothing at all, says so", async () => {
  const fixture = await openStage();
  await fixture.velero.make("Backup", "source", {
    spec: { includedNamespaces: [fixture.namespace] },
    status: { phase: "Completed" },
  });
  const parameters = { backupName: "source", includedResources: ["configmapz", "secrets"] };
  const { ended } = fixture.start(await fixture.admitted("r1", { type: "Restore", parameters }));
  await fixture.velero.created("Restore", "r1");
  await fixture.velero.setStatus("Restore", "r1", { phase: "Completed", progress: {} });
  expect(await ended).toMatchObject({ exitCode: 0 });
  const done = await fixture.read("r1");
  expect(conditionsOf(done)).toMatchObject({
    Succeeded: "True/VeleroRestoreCompleted",
    Degraded: "True/NothingRestored",
  });
  const message = done.status?.conditions?.find(({ type }) => type === "Degraded")?.message;
  expect(message).toContain("nothing in the backup matched what was asked for");
  expect(message).toContain('this cluster has no resource "configmapz"; did you mean configmaps?');
});

test("a restore of another tenant's backup is forbidden, and nothing tells that there is one", async () => {
  const fixture = await openStage();
  await fixture.velero.make("Backup", "theirs", {
    spec: { includedNamespaces: ["org-theirs"] },
    status: { phase: "Completed" },
  });
  const messages: (string | undefined)[] = [];
  for (const backupName of ["theirs", "absent"]) {
    const operation = await fixture.admitted(backupName, { type: "Restore", parameters: { backupName } });
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
    const done = await fixture.read(backupName);
    expect(done.status?.phase).toBe("Failed");
    expect(conditionsOf(done)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "False/RestoreForbidden",
      Failed: "True/RestoreForbidden",
    });
    messages.push(done.status?.conditions?.at(-1)?.message.replace(backupName, "X"));
  }
  expect(messages[0]).toBe(messages[1]);
  expect(await fixture.velero.all("Restore")).toEqual([]);
});

test("what Velero's API refuses ends with its words, and no object", async () => {
  const fixture = await openStage();
  const operation = await fixture.admitted("b1", { type: "Backup" });
  await fixture.forbidBackups();
  expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
  const done = await fixture.read("b1");
  expect(conditionsOf(done)).toMatchObject({ Failed: "True/VeleroBackupFailed", Running: "False/VeleroBackupFailed" });
  expect(done.status?.conditions?.at(-1)?.message).toContain("403 Forbidden");
  expect(done.status?.engineRef).toBeUndefined();
});
