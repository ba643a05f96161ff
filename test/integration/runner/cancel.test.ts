import { describe, expect, test } from "vitest";
import { namespaces } from "../../../src/kube/resources.ts";
import { Deletions } from "./deletions.ts";
import { FollowedOperation } from "./followedOperation.ts";
import { client, conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const backup = { type: "Backup" };
const cancel = { "ops.vworkspace.io/cancel": "true" };

/** An Operation whose Backup Velero works on, and the run that follows it. */
async function running(fixture: RunnerFixture) {
  const operation = await fixture.admitted("b1", backup);
  const run = fixture.start(operation);
  await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
  await fixture.until("b1", ({ phase }) => phase === "Running");
  return { operation, run };
}

describe("cancel", () => {
  test("before there is anything: nothing is made", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup, { annotations: cancel });
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
    const done = await fixture.read("b1");
    expect(conditionsOf(done)).toMatchObject({ Cancelled: "True/CancelledByUser", Running: "False/CancelledByUser" });
    expect(done.status).toMatchObject({ phase: "Failed" });
    expect(done.status?.engineRef).toBeUndefined();
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("before there is anything, and taken back just after it was obeyed: it is said so", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup, { annotations: cancel });
    const meanwhile = async (call: string) => {
      if (call.startsWith("list backups")) await fixture.annotate("b1", { "ops.vworkspace.io/cancel": null });
    };
    expect(await fixture.start(operation, { meanwhile }).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
  });

  test("while Velero has not begun: the Backup goes at once", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    await fixture.annotate("b1", cancel);
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("b1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("of a Restore: it is deleted once its run is over, and what it restored stays", async () => {
    const fixture = await openStage();
    await fixture.velero.make("Backup", "source", {
      spec: { includedNamespaces: [fixture.namespace] },
      status: { phase: "Completed" },
    });
    const restore = { type: "Restore", parameters: { backupName: "source" } };
    const { ended } = fixture.start(await fixture.admitted("r1", restore));
    await fixture.velero.created("Restore", "r1");
    await fixture.velero.setStatus("Restore", "r1", { phase: "InProgress" });
    await fixture.until("r1", ({ phase }) => phase === "Running");
    await fixture.annotate("r1", cancel);
    await fixture.until("r1", ({ conditions = [] }) =>
      conditions.some(({ message }) => message.startsWith("cancel: ")),
    );
    await fixture.velero.setStatus("Restore", "r1", { phase: "Completed" });
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("r1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
    expect(await fixture.velero.all("Restore")).toEqual([]);
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });

  test.each(["Backup", "Restore"] as const)(
    "once seen holds, even if the %s ends well while no run looks",
    async (type) => {
      const followed = await FollowedOperation.open(await openStage(), type);
      await followed.setVeleroStatus({ phase: "InProgress" });
      await followed.shown("InProgress");
      await followed.fixture.annotate("x1", cancel);
      await followed.fixture.until("x1", ({ conditions = [] }) =>
        conditions.some(({ reason, status }) => reason === "CancelRequested" && status === "Unknown"),
      );
      await followed.restart(async () => {
        await followed.fixture.annotate("x1", { "ops.vworkspace.io/cancel": null });
        await followed.setVeleroStatus({ phase: "Completed" });
      });
      if (type === "Backup") {
        const deletions = new Deletions(client, followed.fixture.velero.namespace);
        await deletions.carryOut(await deletions.next());
      }
      expect(await followed.run.ended).toMatchObject({ exitCode: 2 });
      expect(conditionsOf(await followed.fixture.read("x1"))).toMatchObject({ Cancelled: "True/CancelledByUser" });
      const left = (await followed.fixture.velero.all(type)).filter(({ metadata: { name } }) => name === "x1");
      expect(left).toEqual([]);
    },
  );

  test("after the backup was Completed, which the run has not seen yet: it stays", async () => {
    const fixture = await openStage();
    let isCreated = false;
    const meanwhile = async (call: string) => {
      if (isCreated) {
        isCreated = false;
        await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
        await fixture.annotate("b1", cancel);
      }
      if (call.startsWith("create backups")) isCreated = true;
    };
    const { ended } = fixture.start(await fixture.admitted("b1", backup), { meanwhile });
    expect(await ended).toMatchObject({ exitCode: 0 });
    expect((await fixture.read("b1")).status?.phase).toBe("Succeeded");
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });

  test("after the backup was Completed: it stays, and the Operation ends as it ended", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation);
    await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    await fixture.annotate("b1", cancel);
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 0 });
    expect((await fixture.read("b1")).status?.phase).toBe("Succeeded");
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });
});

describe("deleting the Operation", () => {
  test("while its run follows: the Backup goes too", async () => {
    const fixture = await openStage();
    const { ended } = fixture.start(await fixture.admitted("b1", backup));
    await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    await fixture.remove("b1");
    expect(await ended).toMatchObject({ exitCode: 0 });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("while no run was there: the next one cleans up what is unfinished and leaves what is done", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", backup);
    const first = fixture.start(operation);
    const { metadata } = await fixture.velero.created("Backup", "b1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    const { labels = {} } = metadata;
    await fixture.velero.make("Backup", "earlier", {
      labels: { ...labels, "ops.vworkspace.io/attempt": "0" },
      status: { phase: "Completed" },
    });
    const foreign = await fixture.velero.make("Backup", "foreign", { spec: {} });
    await fixture.remove("b1");
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 0 });
    const left = await fixture.velero.all("Backup");
    expect(left.map(({ metadata: { name } }) => name)).toEqual(["earlier", "foreign"]);
    expect(left[1]).toEqual(foreign);
  });

  test("and making another of the same name: the old run ends only what is its own", async () => {
    const fixture = await openStage();
    const { operation, run } = await running(fixture);
    run.stop();
    await expect(run.ended).rejects.toThrow("killed");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    await fixture.remove("b1");
    const younger = await fixture.admitted("b1", backup);
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 0 });
    expect(await fixture.read("b1")).toEqual(younger);
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });

  describe.each(["while its run follows", "while no run was there"])("with its whole namespace, %s", (when) => {
    test("ends a Restore that Velero has not begun: it would bring the namespace back", async () => {
      const followed = await FollowedOperation.open(await openStage(), "Restore");
      const { fixture } = followed;
      const goes = async () => {
        await client.delete(namespaces, { name: fixture.namespace });
        // The namespace's controller empties it, where there is one.
        await fixture.remove("x1").catch(() => undefined);
      };
      if (when === "while its run follows") await goes();
      else await followed.restart(goes);
      expect(await followed.run.ended).toMatchObject({ exitCode: 0 });
      expect(await fixture.velero.all("Restore")).toEqual([]);
      expect(await fixture.velero.all("Backup")).toHaveLength(1);
    });
  });

  test("with its whole namespace, before the Restore was made: none is made", async () => {
    const fixture = await openStage();
    const spec = { includedNamespaces: [fixture.namespace] };
    await fixture.velero.make("Backup", "source", { spec, status: { phase: "Completed" } });
    const operation = await fixture.admitted("r1", { type: "Restore", parameters: { backupName: "source" } });
    await client.delete(namespaces, { name: fixture.namespace });
    expect(await fixture.start(operation).ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("r1"))).toMatchObject({ Failed: "True/NamespaceTerminating" });
    expect(await fixture.velero.all("Restore")).toEqual([]);
  });

  test("with its whole namespace is no cancel of a Backup: Velero goes on", async () => {
    const fixture = await openStage();
    const { run } = await running(fixture);
    await client.delete(namespaces, { name: fixture.namespace });
    // The namespace's controller empties it, where there is one.
    await fixture.remove("b1").catch(() => undefined);
    expect(await run.ended).toMatchObject({ exitCode: 0 });
    expect(await fixture.velero.all("Backup")).toMatchObject([{ status: { phase: "InProgress" } }]);
  });
});
