import { describe, expect, test } from "vitest";
import { namespaces } from "../../../src/kube/resources.ts";
import { CLUSTER_ID, client, conditionsOf, runnerFixtures } from "./runnerFixture.ts";
import { ARCHIVE_BYTES } from "./veleroDouble.ts";

const openStage = runnerFixtures();

const backup = { type: "Backup", parameters: { ttl: "72h", snapshotVolumes: false } };

describe("a backup", () => {
  test("is created once, followed, and ends as Velero says, with its outputs", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const { ended } = fixture.start(operation, { job: { name: "b1-job", uid: "u1" } });

    const object = await fixture.velero.created("Backup", "b1");
    expect(object).toMatchObject({
      metadata: {
        labels: {
          "app.vworkspace.io/managed-by": "vworkspace-operator",
          "app.vworkspace.io/cluster-id": CLUSTER_ID,
          "app.vworkspace.io/application-instance": "shop",
          "ops.vworkspace.io/operation": operation.metadata.uid,
          "ops.vworkspace.io/attempt": "1",
          "ops.vworkspace.io/target": "shop",
        },
        managedFields: [{ manager: "vworkspace-operator", operation: "Update" }],
      },
      spec: {
        includedNamespaces: [fixture.namespace],
        ttl: "72h",
        snapshotVolumes: false,
      },
    });
    const pending = await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    expect(pending.status).toMatchObject({
      phase: "Pending",
      engineRef: {
        apiVersion: "velero.io/v1",
        kind: "Backup",
        namespace: fixture.velero.namespace,
        name: "b1",
        uid: object.metadata.uid,
      },
      runner: { jobName: "b1-job", jobNamespace: "vworkspace-system", attempt: 1, jobUIDs: ["u1"] },
    });

    await fixture.velero.setStatus("Backup", "b1", {
      phase: "InProgress",
      progress: { totalItems: 40, itemsBackedUp: 10 },
    });
    const running = await fixture.until("b1", ({ phase }) => phase === "Running");
    expect(conditionsOf(running)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "True/VeleroBackupInProgress",
    });
    expect(running.status).toMatchObject({
      outputs: { backupName: "b1" },
      progress: { itemsCompleted: 10, itemsTotal: 40, percent: 25 },
    });

    await fixture.velero.setStatus("Backup", "b1", { phase: "Finalizing" });
    await fixture.velero.setStatus("Backup", "b1", {
      phase: "Completed",
      progress: { totalItems: 40, itemsBackedUp: 40 },
    });
    expect(await ended).toMatchObject({ exitCode: 0 });
    const done = await fixture.read("b1");
    expect(conditionsOf(done)).toEqual({
      Accepted: "True/TemplateValidated",
      Running: "False/VeleroBackupSucceeded",
      Succeeded: "True/VeleroBackupCompleted",
    });
    expect(done.status).toMatchObject({
      phase: "Succeeded",
      progress: { percent: 100 },
      outputs: { backupName: "b1", backupItemCount: "40", backupSizeBytes: String(ARCHIVE_BYTES) },
    });
    expect(done.status?.conditions?.at(-1)?.message).toBe("velero.io/Backup completed; 40 items, 4.0 KiB");
  });

  test("of a namespace that Velero leaves out is refused before Velero is asked, naming the label", async () => {
    const fixture = await openStage();
    const exclude = (value: string | null) =>
      client.mergePatch(
        namespaces,
        { name: fixture.namespace },
        { metadata: { labels: { "velero.io/exclude-from-backup": value } } },
      );
    await exclude("true");
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    expect(await ended).toMatchObject({
      exitCode: 2,
      message: `namespace ${fixture.namespace} has the label velero.io/exclude-from-backup=true: Velero backs up nothing of it; remove the label, then run this again`,
    });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({
      Failed: "True/NamespaceExcluded",
      Running: "False/NamespaceExcluded",
    });
    expect(await fixture.velero.all("Backup")).toEqual([]);

    // Velero looks for exactly this value.
    await exclude("false");
    fixture.start(await fixture.admitted("b2", backup));
    await fixture.velero.created("Backup", "b2");
  });

  test("ends when Velero is quick: from nothing to Completed in one step", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    await fixture.velero.created("Backup", "b1");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    expect(await ended).toMatchObject({ exitCode: 0 });
    expect((await fixture.read("b1")).status?.phase).toBe("Succeeded");
  });

  test("that failed ends with exit code 2 and Velero's words", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    await fixture.velero.created("Backup", "b1");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Failed", failureReason: "disk on fire" });
    expect(await ended).toMatchObject({ exitCode: 2, message: "disk on fire" });
    const done = await fixture.read("b1");
    expect(done.status?.phase).toBe("Failed");
    expect(conditionsOf(done)).toMatchObject({
      Failed: "True/VeleroBackupFailed",
      Running: "False/VeleroBackupFailed",
    });
  });

  test("that vanished from under us was deleted by somebody else, and is not made again", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    await fixture.velero.created("Backup", "b1");
    await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
    await fixture.until("b1", ({ phase }) => phase === "Running");
    await fixture.velero.delete("Backup", "b1");
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({ Failed: "True/ExternalDeletion" });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("that was replaced while no runner looked counts as vanished", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation, { job: { uid: "u1" } });
    const { metadata } = await fixture.velero.created("Backup", "b1");
    await fixture.until("b1", ({ engineRef }) => engineRef?.uid === metadata.uid);
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.velero.delete("Backup", "b1");
    await fixture.velero.make("Backup", "b1", { ...(metadata.labels && { labels: metadata.labels }), spec: {} });
    expect(await fixture.start(operation, { job: { uid: "u1" } }).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({ Failed: "True/ExternalDeletion" });
  });
});

describe("a backup of named resources", () => {
  test.each([
    [
      { includedResources: ["secrets", "configmapz"] },
      'spec.parameters.includedResources.1: this cluster has no resource "configmapz"; did you mean configmaps?',
    ],
    [
      { excludedResources: ["Secretz", "nothing.like.it"] },
      'spec.parameters.excludedResources.0: this cluster has no resource "Secretz"; did you mean secrets?; ' +
        'spec.parameters.excludedResources.1: this cluster has no resource "nothing.like.it"',
    ],
  ])("%j is refused before Velero is asked, with what may have been meant", async (parameters, message) => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", { type: "Backup", parameters }));
    expect(await ended).toMatchObject({ exitCode: 2, message });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({
      Accepted: "False/ValidationFailed",
      Failed: "True/ValidationFailed",
    });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("is made with the names as they were written, in whatever way Velero takes them", async () => {
    const fixture = await openStage();
    const parameters = {
      includedResources: ["ConfigMap", "cm", "deployments.apps", "Operation"],
      excludedResources: ["ev"],
    };
    fixture.start(await fixture.admitted("b1", { type: "Backup", parameters }));
    expect(await fixture.velero.created("Backup", "b1")).toMatchObject({ spec: parameters });
  });

  test("tells of a kind so new that Velero may not have looked at it, and of nothing that is in it", async () => {
    const fixture = await openStage();
    const parameters = { includedResources: ["operations.ops.vworkspace.io"] };
    const { ended } = fixture.start(await fixture.admitted("b1", { type: "Backup", parameters }));
    await fixture.velero.created("Backup", "b1");
    const startTimestamp = new Date().toISOString();
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed", startTimestamp, progress: {} });
    expect(await ended).toMatchObject({ exitCode: 0 });
    const done = await fixture.read("b1");
    expect(conditionsOf(done)).toMatchObject({
      Succeeded: "True/VeleroBackupCompleted",
      Degraded: "True/NothingBackedUp",
    });
    expect(done.status?.outputs?.unknownResources).toEqual([
      "operations.ops.vworkspace.io was new when Velero began: Velero looks for new kinds only every five minutes, so objects of this kind may be missing",
    ]);

    const later = fixture.start(await fixture.admitted("b2", { type: "Backup", parameters }));
    await fixture.velero.created("Backup", "b2");
    const afterwards = new Date(Date.now() + 3_600_000).toISOString();
    await fixture.velero.setStatus("Backup", "b2", {
      phase: "Completed",
      startTimestamp: afterwards,
      progress: { itemsBackedUp: 1, totalItems: 1 },
    });
    expect(await later.ended).toMatchObject({ exitCode: 0 });
    expect(conditionsOf(await fixture.read("b2"))).not.toHaveProperty("Degraded");
  });
});

describe("the name", () => {
  test("of a person's Backup is left to it: the other name is taken", async () => {
    const fixture = await openStage();
    const theirs = await fixture.velero.make("Backup", "b1", { spec: { ttl: "1h" } });
    const operation = await fixture.admitted("b1", backup);
    const { ended } = fixture.start(operation);
    const ready = await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    const name = ready.status?.engineRef?.name ?? "";
    expect(name).toMatch(/^b1-[0-9a-f]{8}$/);
    await fixture.velero.setStatus("Backup", name, { phase: "Completed" });
    expect(await ended).toMatchObject({ exitCode: 0 });
    const objects = await fixture.velero.all("Backup");
    expect(objects.map(({ metadata }) => metadata.name)).toEqual(["b1", name]);
    expect(objects[0]).toEqual(theirs);
  });

  test("that is taken in the object store is given up, by a plain delete, once", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    const first = await fixture.velero.created("Backup", "b1");
    const collision = { phase: "Failed", failureReason: "backup already exists in object storage" };
    await fixture.velero.setStatus("Backup", "b1", collision);
    const again = await fixture.until(
      "b1",
      ({ engineRef: ref }) => ref?.uid !== undefined && ref.uid !== first.metadata.uid,
    );
    const name = again.status?.engineRef?.name ?? "";
    expect((await fixture.velero.all("Backup")).map(({ metadata }) => metadata.name)).toEqual([name]);

    await fixture.velero.setStatus("Backup", name, collision);
    expect(await ended).toMatchObject({ exitCode: 2, message: "backup already exists in object storage" });
    expect((await fixture.read("b1")).status?.phase).toBe("Failed");
    // Velero would one day collect it by name, and the older backup's files with it.
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });
});

describe("two runners at once", () => {
  test("make one object and one end", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const runs = ["u1", "u2", "u3"].map((uid) => fixture.start(operation, { job: { uid } }));
    await fixture.velero.created("Backup", "b1");
    await fixture.until("b1", ({ engineRef, runner }) => engineRef?.uid !== undefined && runner?.jobUIDs?.length === 3);
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    const endings = await Promise.all(runs.map(({ ended }) => ended));
    expect(endings.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect((await fixture.read("b1")).status?.runner?.jobUIDs?.toSorted()).toEqual(["u1", "u2", "u3"]);
  });
});
