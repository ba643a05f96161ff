import { expect, test } from "vitest";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { namespaces } from "../../../src/kube/resources.ts";
import { client, conditionsOf, type Stage, stages } from "./runnerFixture.ts";

const openStage = stages();
const completed = { phase: "Completed" };
/** What a Backup of that name is called in Velero when another team had the name first. */
const HASHED = "daily-726e97d5";

/** A Backup of Velero's that holds that namespace. */
async function backup(stage: Stage, name: string, namespace: string, labels = {}) {
  const spec = { includedNamespaces: [namespace], storageLocation: "default" };
  return await stage.velero.make("Backup", name, { labels, spec, status: completed });
}

/** A Backup Operation named `daily` that has ended; `made` is what its Backup is called in Velero, if it has one. */
async function daily(stage: Stage, made?: string, namespace = stage.namespace): Promise<Operation> {
  const target = { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" };
  const operation = await client.create(operations, {
    metadata: { name: "daily", namespace },
    spec: { targetRef: target, engine: "velero", type: "Backup" },
  });
  if (made === undefined) return await stage.write(operation, { phase: "Failed" });
  const { metadata } = await backup(stage, made, namespace, ownership(operation));
  const engineRef = { kind: "Backup", namespace: stage.velero.namespace, name: made, uid: metadata.uid };
  return await stage.write(operation, { phase: "Succeeded", engineRef });
}

function ownership({ metadata }: Operation): Record<string, string> {
  return { "ops.vworkspace.io/operation": metadata.uid, "ops.vworkspace.io/attempt": "1" };
}

async function otherNamespace(stage: Stage, suffix: string): Promise<string> {
  const name = `${stage.namespace}-${suffix}`;
  await client.create(namespaces, { metadata: { name } });
  return name;
}

/** Runs a Restore to its end; returns the Operation, and the Backup that Velero was told to restore. */
async function restored(stage: Stage, backupName: string, parameters: object = {}) {
  const { ended, name } = await started(stage, backupName, parameters);
  const { spec } = await stage.velero.created("Restore", name);
  await stage.velero.says("Restore", name, completed);
  expect(await ended).toMatchObject({ exitCode: 0 });
  return { from: spec?.backupName, operation: await stage.read(name) };
}

/** Runs a Restore that comes to nothing; returns why. */
async function refusal(stage: Stage, backupName: string, parameters: object = {}): Promise<string | undefined> {
  const { ended, name } = await started(stage, backupName, parameters);
  expect(await ended).toMatchObject({ exitCode: 2 });
  expect(await stage.velero.all("Restore")).toEqual([]);
  const operation = await stage.read(name);
  expect(conditionsOf(operation)).toMatchObject({ Failed: "True/RestoreForbidden" });
  return operation.status?.conditions?.find(({ type }) => type === "Failed")?.message;
}

let count = 0;

async function started(stage: Stage, backupName: string, parameters: object) {
  count += 1;
  const name = `r${count}`;
  const operation = await stage.admitted(name, { type: "Restore", parameters: { backupName, ...parameters } });
  return { name, ended: stage.start(operation).ended };
}

test("a name is the team's own: its Operation's Backup is restored, whatever that is called in Velero", async () => {
  const stage = await openStage();
  await backup(stage, "daily", "org-other");
  const { status } = await daily(stage, HASHED);
  const { from, operation } = await restored(stage, "daily");
  expect(from).toBe(HASHED);
  expect(operation.status).toMatchObject({
    backupRef: { apiVersion: "velero.io/v1", kind: "Backup", name: HASHED, uid: status?.engineRef?.uid },
    outputs: { restoreName: operation.metadata.name, backupName: HASHED },
  });
  const message = operation.status?.conditions?.find(({ type }) => type === "Succeeded")?.message;
  expect(message).toBe(`velero.io/Restore completed; from Backup ${HASHED}`);
});

test("an older Backup of the name is restored only when it is named as Velero's", async () => {
  const stage = await openStage();
  await backup(stage, "daily", stage.namespace);
  await daily(stage, HASHED);
  expect((await restored(stage, "daily")).from).toBe(HASHED);
  expect((await restored(stage, "operation/daily")).from).toBe(HASHED);
  expect((await restored(stage, `operation/${stage.namespace}/daily`)).from).toBe(HASHED);
  expect((await restored(stage, "backup/daily")).from).toBe("daily");
});

test("without an Operation of the name it is Velero's Backup, unless an Operation was asked for", async () => {
  const stage = await openStage();
  await backup(stage, "daily", stage.namespace);
  expect((await restored(stage, "daily")).from).toBe("daily");
  await stage.velero.delete("Restore", `r${count}`);
  expect(await refusal(stage, "operation/daily")).toContain("there is no such Backup of this cluster");
});

test("an Operation that has not succeeded has nothing to restore: an older Backup of its name is not taken for it", async () => {
  const stage = await openStage();
  await backup(stage, "daily", stage.namespace);
  await daily(stage);
  expect(await refusal(stage, "daily")).toBe(
    `Operation ${stage.namespace}/daily has not succeeded (Failed), so it has no Backup to restore; ` +
      "to restore what has a certain name in Velero, write backup/daily",
  );
});

test("a Backup that is gone is not made up for by another; one that Velero made anew of its files is the same", async () => {
  const stage = await openStage();
  await backup(stage, "daily", stage.namespace);
  const operation = await daily(stage, HASHED);
  const gone = `the Backup ${HASHED} that Operation ${stage.namespace}/daily made is gone`;
  await stage.velero.delete("Backup", HASHED);
  expect(await refusal(stage, "daily")).toContain(gone);
  await backup(stage, HASHED, stage.namespace);
  expect(await refusal(stage, "daily")).toContain(gone);
  await stage.velero.delete("Backup", HASHED);
  await backup(stage, HASHED, stage.namespace, ownership(operation));
  expect((await restored(stage, "daily")).from).toBe(HASHED);
});

test("what an Operation recorded is checked like any other Backup", async () => {
  const stage = await openStage();
  const operation = await daily(stage, HASHED);
  await stage.velero.make("Backup", "theirs", { spec: { includedNamespaces: ["org-other"] }, status: completed });
  const [theirs] = (await stage.velero.all("Backup")).filter(({ metadata }) => metadata.name === "theirs");
  await stage.write(operation, { engineRef: { name: "theirs", uid: theirs?.metadata.uid } });
  const why = await refusal(stage, "daily");
  await client.delete(operations, { namespace: stage.namespace, name: "daily" });
  expect(why).toBe(await refusal(stage, "daily"));
});

test("with namespaceMapping it is the mapped namespace's, and of several the one that is named", async () => {
  const stage = await openStage();
  const old = await otherNamespace(stage, "old");
  const older = await otherNamespace(stage, "older");
  const mapped = (...from: string[]) => ({
    namespaceMapping: Object.fromEntries(from.map((namespace) => [namespace, stage.namespace])),
  });
  await daily(stage, "daily-own");
  expect((await restored(stage, "daily", mapped(old))).from).toBe("daily-own");
  await daily(stage, "daily-old", old);
  await daily(stage, "daily-older", older);
  expect((await restored(stage, "daily")).from).toBe("daily-own");
  expect((await restored(stage, "daily", mapped(old))).from).toBe("daily-old");
  for (const { metadata } of await stage.velero.all("Restore")) await stage.velero.delete("Restore", metadata.name);
  expect(await refusal(stage, "daily", mapped(old, older))).toBe(
    `backupName daily names 2 Operations: write operation/${old}/daily or operation/${older}/daily`,
  );
  // A namespace that is not restored from is as good as none.
  expect(await refusal(stage, `operation/${older}/daily`, mapped(old))).toBe(
    (await refusal(stage, "operation/org-nowhere/daily", mapped(old)))?.replace("org-nowhere", older),
  );
  expect((await restored(stage, `operation/${older}/daily`, mapped(old, older))).from).toBe("daily-older");
});

test("a run that follows one which died before it created the Restore restores the same Backup, or none", async () => {
  const stage = await openStage();
  await daily(stage, HASHED);
  const request = await stage.admitted("r", { type: "Restore", parameters: { backupName: "daily" } });
  const first = stage.start(request, {
    meanwhile: async (call) => {
      if (call.startsWith("create restores")) first.stop();
    },
  });
  await expect(first.ended).rejects.toThrow("killed");
  expect((await stage.read("r")).status?.backupRef).toMatchObject({ name: HASHED });

  await client.delete(operations, { namespace: stage.namespace, name: "daily" });
  await daily(stage, "daily-anew");
  const second = stage.start(request);
  expect(await stage.velero.created("Restore", "r")).toMatchObject({ spec: { backupName: HASHED } });
  second.stop();
  await expect(second.ended).rejects.toThrow("killed");
});

test("a Backup that is gone before its Restore is created ends it, though another one has the name by then", async () => {
  const stage = await openStage();
  await daily(stage, HASHED);
  const request = await stage.admitted("r", { type: "Restore", parameters: { backupName: "daily" } });
  const first = stage.start(request, {
    meanwhile: async (call) => {
      if (call.startsWith("create restores")) first.stop();
    },
  });
  await expect(first.ended).rejects.toThrow("killed");
  await stage.velero.delete("Backup", HASHED);
  await backup(stage, HASHED, stage.namespace);
  expect(await stage.start(request).ended).toMatchObject({
    exitCode: 2,
    message: `the Backup ${HASHED} that was to be restored is gone; run this again to have it looked for anew`,
  });
  expect(await stage.velero.all("Restore")).toEqual([]);
});
