import { expect, test } from "vitest";
import { healthOf } from "../../scenario/gitopsHealth.ts";
import { type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const backup = { type: "Backup" };

/** Carries out a Backup that Velero ends like this. */
async function ended(fixture: RunnerFixture, name: string, status: Record<string, unknown>) {
  const { ended: over } = fixture.start(await fixture.admitted(name, backup));
  await fixture.velero.created("Backup", name);
  await fixture.velero.setStatus("Backup", name, status);
  await over;
  return await fixture.read(name);
}

test("Flux, Helm and Argo CD wait until an Operation has ended, and learn how", async () => {
  const fixture = await openStage();
  fixture.start(await fixture.admitted("running", backup));
  await fixture.velero.created("Backup", "running");
  await fixture.velero.setStatus("Backup", "running", { phase: "InProgress" });
  const running = await fixture.until("running", ({ phase }) => phase === "Running");

  const cancelled = fixture.start(await fixture.admitted("cancelled", backup));
  await fixture.velero.created("Backup", "cancelled");
  await fixture.annotate("cancelled", { "ops.vworkspace.io/cancel": "true" });
  await fixture.velero.setStatus("Backup", "cancelled", { phase: "Failed" });
  await cancelled.ended;

  const told = await healthOf([
    running,
    await ended(fixture, "succeeded", { phase: "Completed" }),
    await ended(fixture, "degraded", { phase: "PartiallyFailed", errors: 1 }),
    await ended(fixture, "failed", { phase: "Failed", failureReason: "the disk is full" }),
    await fixture.read("cancelled"),
    await fixture.open("failed", "another-job"),
  ]);
  expect(told.map(({ kstatus, argo }) => [kstatus.status, argo.status])).toEqual([
    ["InProgress", "Progressing"],
    ["Current", "Healthy"],
    ["Current", "Healthy"],
    ["Failed", "Degraded"],
    ["Failed", "Degraded"],
    // Another attempt has been opened.
    ["InProgress", "Progressing"],
  ]);
  expect(told[3]?.kstatus.message).toContain("the disk is full");
});

test("nothing of it remains of an Operation that has succeeded", async () => {
  const fixture = await openStage();
  const { status } = await ended(fixture, "b1", { phase: "Completed" });
  expect(status?.conditions?.map(({ type }) => type)).toEqual(["Accepted", "Running", "Succeeded"]);
});
