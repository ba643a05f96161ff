import { expect, test } from "vitest";
import { DEFAULT_LEFT_OUT, leftOut } from "../../../src/api/leftOut.ts";
import { conditionsOf, stages } from "./runnerFixture.ts";

const openStage = stages();

test("a restore names the backup's namespaces and leaves old Operations where they are", async () => {
  const stage = await openStage();
  await stage.velero.make("Backup", "source", {
    spec: { includedNamespaces: ["org-old"] },
    status: { phase: "PartiallyFailed" },
  });
  const parameters = { backupName: "source", namespaceMapping: { "org-old": stage.namespace }, restorePVs: true };
  const { ended } = stage.start(await stage.admitted("r1", { type: "Restore", parameters }));
  expect(await stage.velero.created("Restore", "r1")).toMatchObject({
    spec: {
      backupName: "source",
      includedNamespaces: ["org-old"],
      includedResources: ["*"],
      excludedResources: leftOut(DEFAULT_LEFT_OUT),
      namespaceMapping: { "org-old": stage.namespace },
      restorePVs: true,
    },
  });
  await stage.velero.says("Restore", "r1", { phase: "InProgress", progress: { totalItems: 7, itemsRestored: 7 } });
  await stage.velero.says("Restore", "r1", { phase: "Completed" });
  expect(await ended).toMatchObject({ exitCode: 0 });
  const done = await stage.read("r1");
  expect(conditionsOf(done)).toEqual({
    Accepted: "True/TemplateValidated",
    Running: "False/VeleroRestoreSucceeded",
    Succeeded: "True/VeleroRestoreCompleted",
  });
  expect(done.status?.outputs).toMatchObject({ restoreName: "r1", restoreItemCount: "7" });
});

test("a restore of what this cluster does not know, and of nothing at all, says so", async () => {
  const stage = await openStage();
  await stage.velero.make("Backup", "source", {
    spec: { includedNamespaces: [stage.namespace] },
    status: { phase: "Completed" },
  });
  const parameters = { backupName: "source", includedResources: ["configmapz", "secrets"] };
  const { ended } = stage.start(await stage.admitted("r1", { type: "Restore", parameters }));
  await stage.velero.created("Restore", "r1");
  await stage.velero.says("Restore", "r1", { phase: "Completed", progress: {} });
  expect(await ended).toMatchObject({ exitCode: 0 });
  const done = await stage.read("r1");
  expect(conditionsOf(done)).toMatchObject({
    Succeeded: "True/VeleroRestoreCompleted",
    Degraded: "True/NothingRestored",
  });
  const message = done.status?.conditions?.find(({ type }) => type === "Degraded")?.message;
  expect(message).toContain("nothing in the backup matched what was asked for");
  expect(message).toContain('"configmapz" is no resource that this cluster has; did you mean configmaps?');
});

test("a restore of another tenant's backup is forbidden, and nothing tells that there is one", async () => {
  const stage = await openStage();
  await stage.velero.make("Backup", "theirs", {
    spec: { includedNamespaces: ["org-theirs"] },
    status: { phase: "Completed" },
  });
  const messages: (string | undefined)[] = [];
  for (const backupName of ["theirs", "absent"]) {
    const operation = await stage.admitted(backupName, { type: "Restore", parameters: { backupName } });
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 2 });
    const done = await stage.read(backupName);
    expect(done.status?.phase).toBe("Failed");
    expect(conditionsOf(done)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "False/RestoreForbidden",
      Failed: "True/RestoreForbidden",
    });
    messages.push(done.status?.conditions?.at(-1)?.message.replace(backupName, "X"));
  }
  expect(messages[0]).toBe(messages[1]);
  expect(await stage.velero.all("Restore")).toEqual([]);
});

test("what Velero's API refuses ends with its words, and no object", async () => {
  const stage = await openStage();
  const operation = await stage.admitted("b1", { type: "Backup" });
  await stage.forbidBackups();
  expect(await stage.start(operation).ended).toMatchObject({ exitCode: 2 });
  const done = await stage.read("b1");
  expect(conditionsOf(done)).toMatchObject({ Failed: "True/VeleroBackupFailed", Running: "False/VeleroBackupFailed" });
  expect(done.status?.conditions?.at(-1)?.message).toContain("403 Forbidden");
  expect(done.status?.engineRef).toBeUndefined();
});
