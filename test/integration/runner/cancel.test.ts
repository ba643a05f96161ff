import { describe, expect, test } from "vitest";
import { namespaces } from "../../../src/kube/resources.ts";
import { Deletions } from "./deletions.ts";
import { Scene } from "./followedOperation.ts";
import { client, conditionsOf, type Stage, stages } from "./runnerFixture.ts";

const openStage = stages();
const backup = { type: "Backup" };
const cancel = { "ops.vworkspace.io/cancel": "true" };

/** An Operation whose Backup Velero works on, and the run that follows it. */
async function running(stage: Stage) {
  const operation = await stage.admitted("b1", backup);
  const run = stage.start(operation);
  await stage.velero.created("Backup", "b1");
  await stage.velero.says("Backup", "b1", { phase: "InProgress" });
  await stage.until("b1", ({ phase }) => phase === "Running");
  return { operation, run };
}

describe("cancel", () => {
  test("before there is anything: nothing is made", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup, { annotations: cancel });
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 2 });
    const done = await stage.read("b1");
    expect(conditionsOf(done)).toMatchObject({ Cancelled: "True/CancelledByUser", Running: "False/CancelledByUser" });
    expect(done.status).toMatchObject({ phase: "Failed" });
    expect(done.status?.engineRef).toBeUndefined();
    expect(await stage.velero.all("Backup")).toEqual([]);
  });

  test("before there is anything, and taken back just after it was obeyed: it is said so", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup, { annotations: cancel });
    const meanwhile = async (call: string) => {
      if (call.startsWith("list backups")) await stage.annotate("b1", { "ops.vworkspace.io/cancel": null });
    };
    expect(await stage.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await stage.read("b1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
  });

  test("while Velero has not begun: the Backup goes at once", async () => {
    const stage = await openStage();
    const { ended } = stage.start(await stage.admitted("b1", backup));
    await stage.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    await stage.annotate("b1", cancel);
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await stage.read("b1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
    expect(await stage.velero.all("Backup")).toEqual([]);
  });

  test("of a Restore: it is deleted once its run is over, and what it restored stays", async () => {
    const stage = await openStage();
    await stage.velero.make("Backup", "source", {
      spec: { includedNamespaces: [stage.namespace] },
      status: { phase: "Completed" },
    });
    const restore = { type: "Restore", parameters: { backupName: "source" } };
    const { ended } = stage.start(await stage.admitted("r1", restore));
    await stage.velero.created("Restore", "r1");
    await stage.velero.says("Restore", "r1", { phase: "InProgress" });
    await stage.until("r1", ({ phase }) => phase === "Running");
    await stage.annotate("r1", cancel);
    await stage.until("r1", ({ conditions = [] }) => conditions.some(({ message }) => message.startsWith("cancel: ")));
    await stage.velero.says("Restore", "r1", { phase: "Completed" });
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await stage.read("r1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
    expect(await stage.velero.all("Restore")).toEqual([]);
    expect(await stage.velero.all("Backup")).toHaveLength(1);
  });

  test.each(["Backup", "Restore"] as const)(
    "once seen holds, even if the %s ends well while no run looks",
    async (type) => {
      const scene = await Scene.open(await openStage(), type);
      await scene.says({ phase: "InProgress" });
      await scene.shown("InProgress");
      await scene.stage.annotate("x1", cancel);
      await scene.stage.until("x1", ({ conditions = [] }) =>
        conditions.some(({ reason, status }) => reason === "CancelRequested" && status === "Unknown"),
      );
      await scene.restart(async () => {
        await scene.stage.annotate("x1", { "ops.vworkspace.io/cancel": null });
        await scene.says({ phase: "Completed" });
      });
      if (type === "Backup") {
        const deletions = new Deletions(client, scene.stage.velero.namespace);
        await deletions.carryOut(await deletions.next());
      }
      expect(await scene.run.ended).toMatchObject({ exitCode: 2 });
      expect(conditionsOf(await scene.stage.read("x1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
      const left = (await scene.stage.velero.all(type)).filter(({ metadata: { name } }) => name === "x1");
      expect(left).toEqual([]);
    },
  );

  test("after the backup was Completed: it stays, and the Operation ends as it ended", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup);
    const first = stage.start(operation);
    await stage.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await stage.velero.says("Backup", "b1", { phase: "Completed" });
    await stage.annotate("b1", cancel);
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 0 });
    expect((await stage.read("b1")).status?.phase).toBe("Succeeded");
    expect(await stage.velero.all("Backup")).toHaveLength(1);
  });
});

describe("deleting the Operation", () => {
  test("while its run follows: the Backup goes too", async () => {
    const stage = await openStage();
    const { ended } = stage.start(await stage.admitted("b1", backup));
    await stage.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    await stage.remove("b1");
    expect(await ended).toMatchObject({ exitCode: 0 });
    expect(await stage.velero.all("Backup")).toEqual([]);
  });

  test("while no run was there: the next one cleans up what is unfinished and leaves what is done", async () => {
    const stage = await openStage();
    const operation = await stage.admitted("b1", backup);
    const first = stage.start(operation);
    const { metadata } = await stage.velero.created("Backup", "b1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    const { labels = {} } = metadata;
    await stage.velero.make("Backup", "earlier", {
      labels: { ...labels, "ops.vworkspace.io/attempt": "0" },
      status: { phase: "Completed" },
    });
    const foreign = await stage.velero.make("Backup", "foreign", { spec: {} });
    await stage.remove("b1");
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 0 });
    const left = await stage.velero.all("Backup");
    expect(left.map(({ metadata: { name } }) => name)).toEqual(["earlier", "foreign"]);
    expect(left[1]).toEqual(foreign);
  });

  test("and making another of the same name: the old run ends only what is its own", async () => {
    const stage = await openStage();
    const { operation, run } = await running(stage);
    run.stop();
    await expect(run.ended).rejects.toThrow("killed");
    await stage.velero.says("Backup", "b1", { phase: "Completed" });
    await stage.remove("b1");
    const younger = await stage.admitted("b1", backup);
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 0 });
    expect(await stage.read("b1")).toEqual(younger);
    expect(await stage.velero.all("Backup")).toHaveLength(1);
  });

  describe.each(["while its run follows", "while no run was there"])("with its whole namespace, %s", (when) => {
    test("ends a Restore that Velero has not begun: it would bring the namespace back", async () => {
      const scene = await Scene.open(await openStage(), "Restore");
      const { stage } = scene;
      const goes = async () => {
        await client.delete(namespaces, { name: stage.namespace });
        // The namespace's controller empties it, where there is one.
        await stage.remove("x1").catch(() => undefined);
      };
      if (when === "while its run follows") await goes();
      else await scene.restart(goes);
      expect(await scene.run.ended).toMatchObject({ exitCode: 0 });
      expect(await stage.velero.all("Restore")).toEqual([]);
      expect(await stage.velero.all("Backup")).toHaveLength(1);
    });
  });

  test("with its whole namespace, before the Restore was made: none is made", async () => {
    const stage = await openStage();
    const spec = { includedNamespaces: [stage.namespace] };
    await stage.velero.make("Backup", "source", { spec, status: { phase: "Completed" } });
    const operation = await stage.admitted("r1", { type: "Restore", parameters: { backupName: "source" } });
    await client.delete(namespaces, { name: stage.namespace });
    expect(await stage.start(operation).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await stage.read("r1"))).toMatchObject({ Failed: "True/NamespaceTerminating" });
    expect(await stage.velero.all("Restore")).toEqual([]);
  });

  test("with its whole namespace is no cancel of a Backup: Velero goes on", async () => {
    const stage = await openStage();
    const { run } = await running(stage);
    await client.delete(namespaces, { name: stage.namespace });
    // The namespace's controller empties it, where there is one.
    await stage.remove("b1").catch(() => undefined);
    expect(await run.ended).toMatchObject({ exitCode: 0 });
    expect(await stage.velero.all("Backup")).toMatchObject([{ status: { phase: "InProgress" } }]);
  });
});
