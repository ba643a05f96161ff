import { describe, expect, test } from "vitest";
import { timestamp } from "../../../src/api/status.ts";
import { Deletions } from "./deletions.ts";
import { client, conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const began = (secondsAgo: number) => ({ startTimestamp: timestamp(new Date(Date.now() - secondsAgo * 1000)) });
const LIMIT = "Velero was at work for longer than limits.maxRunTime";

/** Waits until it is written that the attempt is ended because it took too long. */
async function decided(fixture: RunnerFixture, name: string): Promise<void> {
  await fixture.until(name, ({ conditions = [] }) =>
    conditions.some(
      ({ type, status, reason }) => `${type}=${status}/${reason}` === "Cancelled=Unknown/DeadlineExceeded",
    ),
  );
}

describe("a limit on how long Velero may work", () => {
  test("ends a Backup, also through a run that knows no limit, says so, and lets it be run again", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", { type: "Backup" });
    const first = fixture.start(operation, { maxRunTime: "3s" });
    await fixture.velero.created("Backup", "b1");
    // Nothing changes any more when the time is over.
    await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress", ...began(0) });
    await fixture.until("b1", ({ phase }) => phase === "Running");
    await decided(fixture, "b1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });

    const second = fixture.start(operation);
    const deletions = new Deletions(client, fixture.velero.namespace);
    await deletions.carryOut(await deletions.next());
    expect(await second.ended).toMatchObject({ exitCode: 2 });
    const done = await fixture.read("b1");
    expect(done.status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
    expect(conditionsOf(done)).toMatchObject({
      Cancelled: "True/DeadlineExceeded",
      Running: "False/DeadlineExceeded",
    });
    expect(done.status?.conditions?.find(({ type }) => type === "Cancelled")?.message).toBe(
      `${LIMIT} (3s), a setting of the platform's admin; cancelled, no velero.io/Backup of this attempt is kept`,
    );
    expect(await fixture.velero.all("Backup")).toEqual([]);

    const byHand = fixture.start(operation, { job: { uid: "by-hand" }, uid: null });
    await fixture.open("b1", "by-hand");
    await fixture.admit("b1", 2);
    const again = await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    await fixture.velero.setStatus("Backup", again.status?.engineRef?.name ?? "", { phase: "Completed", ...began(60) });
    expect(await byHand.ended).toMatchObject({ exitCode: 0 });
  });

  test("ends a Restore, and a request to cancel that comes later takes nothing from the reason", async () => {
    const fixture = await openStage();
    const spec = { includedNamespaces: [fixture.namespace] };
    await fixture.velero.make("Backup", "source", { spec, status: { phase: "Completed" } });
    const restore = { type: "Restore", parameters: { backupName: "source" } };
    const operation = await fixture.admitted("r1", restore);
    const first = fixture.start(operation, { maxRunTime: "1h" });
    await fixture.velero.created("Restore", "r1");
    await fixture.velero.setStatus("Restore", "r1", { phase: "InProgress", ...began(3601) });
    await decided(fixture, "r1");
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.annotate("r1", { "ops.vworkspace.io/cancel": "true" });
    const { ended } = fixture.start(operation, { maxRunTime: "1h" });
    await fixture.until("r1", ({ runner }) => runner?.jobUIDs?.length === 2);
    await fixture.velero.setStatus("Restore", "r1", { phase: "Completed" });
    expect(await ended).toMatchObject({ exitCode: 2 });
    expect(conditionsOf(await fixture.read("r1"))).toMatchObject({ Cancelled: "True/DeadlineExceeded" });
    expect(await fixture.velero.all("Restore")).toEqual([]);
  });

  test("keeps a Backup that is Completed by then", async () => {
    const fixture = await openStage();
    const operation = await fixture.admitted("b1", { type: "Backup" });
    const first = fixture.start(operation, { maxRunTime: "1h" });
    await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
    first.stop();
    await expect(first.ended).rejects.toThrow("killed");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed", ...began(7200) });
    expect(await fixture.start(operation, { maxRunTime: "1h" }).ended).toMatchObject({ exitCode: 0 });
    expect((await fixture.read("b1")).status?.phase).toBe("Succeeded");
    expect(await fixture.velero.all("Backup")).toHaveLength(1);
  });
});
