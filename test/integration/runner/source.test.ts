import { expect, test } from "vitest";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { namespaces } from "../../../src/kube/resources.ts";
import { client, conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const completed = { phase: "Completed" };
/** What a Backup of that name is called in Velero when another team had the name first. */
const HASHED = "daily-726e97d5";

/** A Backup of Velero's that holds that namespace. */
async function backup(fixture: RunnerFixture, name: string, namespace: string, labels = {}) {
  const spec = { includedNamespaces: [namespace], storageLocation: "default" };
  return await fixture.velero.make("Backup", name, { labels, spec, status: completed });
}

/** A Backup Operation named `daily` that has ended; `made` is what its Backup is called in Velero, if it has one. */
async function daily(fixture: RunnerFixture, made?: string, namespace = fixture.namespace): Promise<Operation> {
  const target = { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" };
  const operation = await client.create(operations, {
    metadata: { name: "daily", namespace },
    spec: { targetRef: target, engine: "velero", type: "Backup" },
  });
  if (made === undefined) return await fixture.write(operation, { phase: "Failed" });
  const { metadata } = await backup(fixture, made, namespace, ownership(operation));
  const engineRef = { kind: "Backup", namespace: fixture.velero.namespace, name: made, uid: metadata.uid };
  return await fixture.write(operation, { phase: "Succeeded", engineRef });
}

function ownership({ metadata }: Operation): Record<string, string> {
  return { "ops.vworkspace.io/operation": metadata.uid, "ops.vworkspace.io/attempt": "1" };
}

async function otherNamespace(fixture: RunnerFixture, suffix: string): Promise<string> {
  const name = `${fixture.namespace}-${suffix}`;
  await client.create(namespaces, { metadata: { name } });
  return name;
}

/** Runs a Restore to its end; returns the Operation, and the Backup that Velero was told to restore. */
async function restored(fixture: RunnerFixture, backupName: string, parameters: object = {}) {
  const { ended, name } = await started(fixture, backupName, parameters);
  const { spec } = await fixture.velero.created("Restore", name);
  await fixture.velero.setStatus("Restore", name, completed);
  expect(await ended).toMatchObject({ exitCode: 0 });
  return { from: spec?.backupName, operation: await fixture.read(name) };
}

/** Runs a Restore that comes to nothing; returns why. */
async function refusal(
  fixture: RunnerFixture,
  backupName: string,
  parameters: object = {},
): Promise<string | undefined> {
  const { ended, name } = await started(fixture, backupName, parameters);
  expect(await ended).toMatchObject({ exitCode: 2 });
  expect(await fixture.velero.all("Restore")).toEqual([]);
  const operation = await fixture.read(name);
  expect(conditionsOf(operation)).toMatchObject({ Failed: "True/RestoreForbidden" });
  return operation.status?.conditions?.find(({ type }) => type === "Failed")?.message;
}

let count = 0;

async function started(fixture: RunnerFixture, backupName: string, parameters: object) {
  count += 1;
  const name = `r${count}`;
  const operation = await fixture.admitted(name, { type: "Restore", parameters: { backupName, ...parameters } });
  return { name, ended: fixture.start(operation).ended };
}

test("a name is the team's own: its Operation's Backup is restored, whatever that is called in Velero", async () => {
  const fixture = await openStage();
  await backup(fixture, "daily", "org-other");
  const { status } = await daily(fixture, HASHED);
  const { from, operation } = await restored(fixture, "daily");
  expect(from).toBe(HASHED);
  expect(operation.status).toMatchObject({
    backupRef: { apiVersion: "velero.io/v1", kind: "Backup", name: HASHED, uid: status?.engineRef?.uid },
    outputs: { restoreName: operation.metadata.name, backupName: HASHED },
  });
  const message = operation.status?.conditions?.find(({ type }) => type === "Succeeded")?.message;
  expect(message).toBe(`velero.io/Restore completed; from Backup ${HASHED}`);
});

test("an older Backup of the name is restored only when it is named as Velero's", async () => {
  const fixture = await openStage();
  await backup(fixture, "daily", fixture.namespace);
  await daily(fixture, HASHED);
  expect((await restored(fixture, "daily")).from).toBe(HASHED);
  expect((await restored(fixture, "operation/daily")).from).toBe(HASHED);
  expect((await restored(fixture, `operation/${fixture.namespace}/daily`)).from).toBe(HASHED);
  expect((await restored(fixture, "backup/daily")).from).toBe("daily");
});

test("without an Operation of the name it is Velero's Backup, unless an Operation was asked for", async () => {
  const fixture = await openStage();
  await backup(fixture, "daily", fixture.namespace);
  expect((await restored(fixture, "daily")).from).toBe("daily");
  await fixture.velero.delete("Restore", `r${count}`);
  expect(await refusal(fixture, "operation/daily")).toContain("there is no such Backup of this cluster");
});

test("an Operation that has not succeeded has nothing to restore: an older Backup of its name is not taken for it", async () => {
  const fixture = await openStage();
  await backup(fixture, "daily", fixture.namespace);
  await daily(fixture);
  expect(await refusal(fixture, "daily")).toBe(
    `Operation ${fixture.namespace}/daily has not succeeded (Failed), so it has no Backup to restore; ` +
      "to restore a Backup by its name in Velero, write backup/daily",
  );
});

test("a Backup that is gone is not made up for by another; one that Velero made anew of its files is the same", async () => {
  const fixture = await openStage();
  await backup(fixture, "daily", fixture.namespace);
  const operation = await daily(fixture, HASHED);
  const gone = `the Backup ${HASHED} that Operation ${fixture.namespace}/daily made is gone`;
  await fixture.velero.delete("Backup", HASHED);
  expect(await refusal(fixture, "daily")).toContain(gone);
  await backup(fixture, HASHED, fixture.namespace);
  expect(await refusal(fixture, "daily")).toContain(gone);
  await fixture.velero.delete("Backup", HASHED);
  await backup(fixture, HASHED, fixture.namespace, ownership(operation));
  expect((await restored(fixture, "daily")).from).toBe(HASHED);
});

test("what an Operation recorded is checked like any other Backup", async () => {
  const fixture = await openStage();
  const operation = await daily(fixture, HASHED);
  await fixture.velero.make("Backup", "theirs", { spec: { includedNamespaces: ["org-other"] }, status: completed });
  const [theirs] = (await fixture.velero.all("Backup")).filter(({ metadata }) => metadata.name === "theirs");
  await fixture.write(operation, { engineRef: { name: "theirs", uid: theirs?.metadata.uid } });
  const why = await refusal(fixture, "daily");
  await client.delete(operations, { namespace: fixture.namespace, name: "daily" });
  expect(why).toBe(await refusal(fixture, "daily"));
});

test("with namespaceMapping it is the mapped namespace's, and of several the one that is named", async () => {
  const fixture = await openStage();
  const old = await otherNamespace(fixture, "old");
  const older = await otherNamespace(fixture, "older");
  const mapped = (...from: string[]) => ({
    namespaceMapping: Object.fromEntries(from.map((namespace) => [namespace, fixture.namespace])),
  });
  await daily(fixture, "daily-own");
  expect((await restored(fixture, "daily", mapped(old))).from).toBe("daily-own");
  await daily(fixture, "daily-old", old);
  await daily(fixture, "daily-older", older);
  expect((await restored(fixture, "daily")).from).toBe("daily-own");
  expect((await restored(fixture, "daily", mapped(old))).from).toBe("daily-old");
  for (const { metadata } of await fixture.velero.all("Restore")) await fixture.velero.delete("Restore", metadata.name);
  expect(await refusal(fixture, "daily", mapped(old, older))).toBe(
    `backupName daily is ambiguous, 2 Operations have that name: write operation/${old}/daily or operation/${older}/daily`,
  );
  // A namespace that is not restored from is as good as none.
  expect(await refusal(fixture, `operation/${older}/daily`, mapped(old))).toBe(
    (await refusal(fixture, "operation/org-nowhere/daily", mapped(old)))?.replace("org-nowhere", older),
  );
  expect((await restored(fixture, `operation/${older}/daily`, mapped(old, older))).from).toBe("daily-older");
});

test("a run that follows one which died before it created the Restore restores the same Backup, or none", async () => {
  const fixture = await openStage();
  await daily(fixture, HASHED);
  const request = await fixture.admitted("r", { type: "Restore", parameters: { backupName: "daily" } });
  const first = fixture.start(request, {
    meanwhile: async (call) => {
      if (call.startsWith("create restores")) first.stop();
    },
  });
  await expect(first.ended).rejects.toThrow("killed");
  expect((await fixture.read("r")).status?.backupRef).toMatchObject({ name: HASHED });

  await client.delete(operations, { namespace: fixture.namespace, name: "daily" });
  await daily(fixture, "daily-anew");
  const second = fixture.start(request);
  expect(await fixture.velero.created("Restore", "r")).toMatchObject({ spec: { backupName: HASHED } });
  second.stop();
  await expect(second.ended).rejects.toThrow("killed");
});

test("a Backup that is gone before its Restore is created ends it, though another one has the name by then", async () => {
  const fixture = await openStage();
  await daily(fixture, HASHED);
  const request = await fixture.admitted("r", { type: "Restore", parameters: { backupName: "daily" } });
  const first = fixture.start(request, {
    meanwhile: async (call) => {
      if (call.startsWith("create restores")) first.stop();
    },
  });
  await expect(first.ended).rejects.toThrow("killed");
  await fixture.velero.delete("Backup", HASHED);
  await backup(fixture, HASHED, fixture.namespace);
  expect(await fixture.start(request).ended).toMatchObject({
    exitCode: 2,
    message: `the Backup ${HASHED} that this attempt chose is gone; run the Operation again to have one chosen anew`,
  });
  expect(await fixture.velero.all("Restore")).toEqual([]);
});
