import { expect, test } from "vitest";
import type { Backup } from "../../../../src/api/velero.ts";
import { exceededRunTime } from "../../../../src/runner/follow/maxRunTime.ts";
import { FakeClock } from "../../kube/fakeClock.ts";
import { fakeVelero } from "../fakeVelero.ts";
import { backup } from "../veleroObjects.ts";

/** Velero began at midnight, the clock of the run starts there, too. */
const BEGAN = { startTimestamp: "2026-01-01T00:00:00Z" };
const HOUR = 3_600_000;

async function late(afterMs: number, status: Backup["status"], maxRunTime: string | undefined = "4h") {
  const { context } = await fakeVelero({});
  const clock = new FakeClock();
  await clock.advance(afterMs);
  return exceededRunTime({ clock, settings: { ...context.settings, maxRunTime } }, backup(status));
}

test("a limit is exceeded once Velero has been at work for so long, and is named with who sets it", async () => {
  const working = { phase: "WaitingForPluginOperations", ...BEGAN };
  expect(await late(4 * HOUR - 1, working)).toBeUndefined();
  expect(await late(4 * HOUR, working)).toBe(
    "Velero was at work for longer than limits.maxRunTime (4h), a setting of the platform's admin",
  );
});

test.each([
  ["of what still waits in Velero's queue", { phase: "Queued" }],
  ["of what Velero has completed", { phase: "Completed", ...BEGAN }],
  ["of what somebody else deletes", { phase: "Deleting", ...BEGAN }],
  ["of what says no time", { phase: "InProgress", startTimestamp: "soon" }],
])("no limit is exceeded %s", async (_, status) => {
  expect(await late(100 * HOUR, status)).toBeUndefined();
});

test("without a limit Velero may take as long as it takes", async () => {
  const { context } = await fakeVelero({});
  const clock = new FakeClock();
  await clock.advance(1000 * HOUR);
  expect(
    exceededRunTime({ clock, settings: context.settings }, backup({ phase: "InProgress", ...BEGAN })),
  ).toBeUndefined();
});
