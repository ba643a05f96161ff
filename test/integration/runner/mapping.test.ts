import { describe, expect, test } from "vitest";
import type { OperationType } from "../../../src/api/operation.ts";
import { DEFAULT_PLATFORM_EXCLUSIONS, platformExclusions } from "../../../src/api/platformExclusions.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { FollowedOperation } from "./followedOperation.ts";
import { runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();

type Row = readonly [type: string, status: "True" | "False", reason: string, message: string];

const ACCEPTED: Row = ["Accepted", "True", "TemplateValidated", "the Operation is valid and admitted"];
const OVER = { finishedAt: "TIME", duration: "LONG" };
const WAITING: Record<OperationType, string[]> = { Backup: ["Queued", "ReadyToStart", "New"], Restore: ["New"] };
const WORKING = [
  "InProgress",
  "WaitingForPluginOperations",
  "WaitingForPluginOperationsPartiallyFailed",
  "Finalizing",
  "FinalizingPartiallyFailed",
  "InProgress",
];

function conditions(...rows: Row[]) {
  return rows.map(([type, status, reason, message]) => {
    return { type, status, reason, message, lastTransitionTime: "TIME", observedGeneration: 1 };
  });
}

/** What the double's RestoreResourceList makes of a Restore's outputs. */
const BECAME = {
  restoreCreatedCount: "1",
  restoreUpdatedCount: "0",
  restoreSkippedCount: "1",
  restoreFailedCount: "0",
  skippedItems: ["v1/ConfigMap org-a/texts"],
};

/** docs/contract.md#velero-phases: each row, the whole status, on a real API server. */
describe.each(["Backup", "Restore"] as const)("a %s", (type) => {
  const kind = `velero.io/${type}`;
  const isBackup = type === "Backup";
  const known = isBackup
    ? { backupName: "x1", storageLocation: "default" }
    : { restoreName: "x1", backupName: "source", excludedResources: platformExclusions(DEFAULT_PLATFORM_EXCLUSIONS) };
  const found = { ...known, storageLocation: "default" };
  const counts = {
    [isBackup ? "backupItemCount" : "restoreItemCount"]: "412",
    ...(isBackup ? { backupSizeBytes: "4096" } : BECAME),
  };
  const facts = isBackup ? "412 items, 4.0 KiB" : "412 items (1 created, 1 skipped), from Backup source";
  const all = { totalItems: 412, [isBackup ? "itemsBackedUp" : "itemsRestored"]: 412 };
  const progress = { itemsCompleted: 412, itemsTotal: 412, percent: 100 };
  const open = async () => await FollowedOperation.open(await openStage(), type);

  test("shows every phase on the way, forwards and back", async () => {
    const followed = await open();
    for (const phase of [...WAITING[type], ...WORKING, "New"]) {
      await followed.setVeleroStatus({ phase });
      const isWorking = WORKING.includes(phase);
      const reason = isWorking ? `Velero${type}InProgress` : "Pending";
      const waits =
        !isBackup && phase.startsWith("Finalizing") ? expect.stringContaining("hooks in restored pods") : "";
      const message = isWorking
        ? waits || `${kind} is in phase ${phase}`
        : `${kind} waits for Velero to start it, phase ${phase}`;
      expect(await followed.shown(phase)).toEqual({
        ...followed.frame,
        phase: isWorking ? "Running" : "Pending",
        reason,
        outputs: known,
        conditions: conditions(
          ACCEPTED,
          ["Running", isWorking ? "True" : "False", reason, message],
          ["Reconciling", "True", reason, message],
        ),
      });
    }
  });

  test("ends Completed, and what becomes of the object later changes nothing", async () => {
    const followed = await open();
    await followed.setVeleroStatus({ phase: "Completed", progress: all });
    const message = `${kind} completed; ${facts}`;
    expect(await followed.end()).toEqual({
      exitCode: 0,
      status: {
        ...followed.frame,
        ...OVER,
        phase: "Succeeded",
        reason: `Velero${type}Completed`,
        progress,
        outputs: { ...found, ...counts, warningCount: "0", errorCount: "0", warnings: [] },
        conditions: conditions(
          ACCEPTED,
          ["Running", "False", `Velero${type}Succeeded`, message],
          ["Succeeded", "True", `Velero${type}Completed`, message],
        ),
      },
    });
    const ended = await followed.fixture.read("x1");
    await followed.setVeleroStatus({ phase: "PartiallyFailed" });
    await followed.fixture.velero.delete(type, "x1");
    expect(await followed.fixture.start(ended).ended).toMatchObject({ exitCode: 0 });
    expect(await followed.fixture.read("x1")).toEqual(ended);
  });

  test("ends PartiallyFailed: it is there, and degraded", async () => {
    const followed = await open();
    followed.fixture.velero.results = {
      warnings: { velero: ["slow"], namespaces: { "org-myteam": ["exists", "differs"] } },
      errors: { cluster: ["broken"] },
    };
    await followed.setVeleroStatus({ phase: "PartiallyFailed", progress: all, warnings: 3, errors: 2 });
    const message = `${kind} partially failed; ${facts}`;
    const command = `velero ${type.toLowerCase()}`;
    expect(await followed.end()).toEqual({
      exitCode: 0,
      status: {
        ...followed.frame,
        ...OVER,
        phase: "Succeeded",
        reason: "PartialFailure",
        progress,
        outputs: {
          ...found,
          ...counts,
          warningCount: "3",
          errorCount: "2",
          warnings: ["error: cluster: broken", "velero: slow", "org-myteam: exists", "org-myteam: differs"],
          missing: [`errors: Velero counted 2 and listed 1: ${command} describe x1 --details, ${command} logs x1`],
        },
        conditions: conditions(
          ACCEPTED,
          ["Running", "False", `Velero${type}Succeeded`, message],
          ["Succeeded", "True", `Velero${type}PartiallyFailed`, message],
          ["Degraded", "True", "PartialFailure", "2 errors, 3 warnings: see outputs.warnings"],
        ),
      },
    });
  });

  test("ends Failed, with Velero's words as far as they fit", async () => {
    const followed = await open();
    const words = `${"x".repeat(1023)}ü and more`;
    await followed.setVeleroStatus({ phase: "Failed", failureReason: words, errors: 1 });
    const reason = `Velero${type}Failed`;
    expect(await followed.end()).toEqual({
      exitCode: 2,
      status: {
        ...followed.frame,
        ...OVER,
        phase: "Failed",
        reason,
        outputs: { ...known, warningCount: "0", errorCount: "1" },
        conditions: conditions(
          ACCEPTED,
          ["Running", "False", reason, `${kind} failed`],
          ["Failed", "True", reason, "x".repeat(1023)],
          ["Stalled", "True", reason, "x".repeat(1023)],
        ),
      },
    });
  });

  test("ends FailedValidation, and was not acceptable after all", async () => {
    const followed = await open();
    await followed.setVeleroStatus({
      phase: "FailedValidation",
      validationErrors: ["no such location", "no such class"],
    });
    const reason = `Velero${type}ValidationFailed`;
    const words = "no such location; no such class";
    expect(await followed.end()).toEqual({
      exitCode: 2,
      status: {
        ...followed.frame,
        ...OVER,
        phase: "Failed",
        reason,
        outputs: { ...known, warningCount: "0", errorCount: "0" },
        conditions: conditions(
          ["Accepted", "False", reason, words],
          ["Running", "False", reason, `${kind} failed Velero's validation`],
          ["Failed", "True", reason, words],
          ["Stalled", "True", reason, words],
        ),
      },
    });
  });

  test.each(isBackup ? ["deleted", "Deleting"] : ["deleted"])("ends when others have it %s", async (how) => {
    const followed = await open();
    await followed.setVeleroStatus({ phase: "InProgress" });
    await followed.shown("InProgress");
    if (how === "deleted") await followed.fixture.velero.delete(type, "x1");
    else await followed.setVeleroStatus({ phase: "Deleting" });
    const message =
      how === "deleted"
        ? `${kind} was deleted before it ended, not by this Operation`
        : `${kind} is being deleted, not by this Operation`;
    expect(await followed.end()).toEqual({
      exitCode: 2,
      status: {
        ...followed.frame,
        ...OVER,
        phase: "Failed",
        reason: "ExternalDeletion",
        // Nobody is to restore from a name that leads to nothing.
        ...(!isBackup && { outputs: known }),
        conditions: conditions(
          ACCEPTED,
          ["Running", "False", "ExternalDeletion", message],
          ["Failed", "True", "ExternalDeletion", message],
          ["Stalled", "True", "ExternalDeletion", message],
        ),
      },
    });
  });

  test("that Velero called Failed when it restarted ends as it really ended", async () => {
    const followed = await open();
    await followed.setVeleroStatus({ phase: "InProgress" });
    await followed.shown("InProgress");
    await followed.restart(async () => {
      await followed.setVeleroStatus({ phase: "Failed", failureReason: "found during the server starting" });
      await followed.setVeleroStatus({ phase: "Completed", failureReason: null, progress: all });
    });
    const { exitCode, status } = await followed.end();
    expect(exitCode).toBe(0);
    expect(status).toMatchObject({ phase: "Succeeded", reason: `Velero${type}Completed` });
  });

  test.each([
    ["has second thoughts", "Succeeded"],
    ["stays with it", "Failed"],
  ])("that Velero calls Failed while a run looks ends when Velero %s", async (_, phase) => {
    const followed = await open();
    await followed.setVeleroStatus({ phase: "InProgress" });
    await followed.shown("InProgress");
    const patience = Promise.withResolvers<void>();
    const asleep = Promise.withResolvers<void>();
    const sleep = async (ms: number, signal?: AbortSignal) => {
      if (ms !== 30_000) return await systemClock.sleep(ms, signal);
      signal?.addEventListener("abort", () => patience.resolve());
      asleep.resolve();
      return await patience.promise;
    };
    await followed.restart(async () => {}, { ...systemClock, sleep });
    await followed.setVeleroStatus({ phase: "Failed", failureReason: "found InProgress during the server starting" });
    await Promise.race([asleep.promise, followed.run.ended]);
    expect((await followed.fixture.read("x1")).status?.phase).toBe("Running");
    if (phase === "Succeeded")
      await followed.setVeleroStatus({ phase: "Completed", failureReason: null, progress: all });
    else patience.resolve();
    await followed.run.ended;
    expect((await followed.fixture.read("x1")).status?.phase).toBe(phase);
  });

  test("changes in nothing but what is new, however often Velero writes", async () => {
    const followed = await open();
    await followed.setVeleroStatus({ phase: "InProgress" });
    await followed.shown("InProgress");
    const before = await followed.fixture.read("x1");
    for (const warnings of [1, 2, 3]) await followed.setVeleroStatus({ phase: "InProgress", warnings });
    await followed.setVeleroStatus({ phase: "Finalizing" });
    await followed.shown("Finalizing");
    const after = await followed.fixture.read("x1");
    const changed = { ...before.status, conditions: after.status?.conditions };
    expect(after.status).toEqual(changed);
    expect(after.status?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual(
      before.status?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
    );
  });
});
