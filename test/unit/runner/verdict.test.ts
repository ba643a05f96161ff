import { describe, expect, it } from "vitest";
import type { OperationType, Status } from "../../../src/api/operation.ts";
import type { Outputs } from "../../../src/api/outputs.ts";
import { HEALTH, nextStatus } from "../../../src/api/status.ts";
import { type Seen, verdict } from "../../../src/runner/verdict.ts";
import { condition } from "./conditions.ts";
import { backup, restore } from "./veleroObjects.ts";

const ADMITTED = "2026-01-01T00:00:00Z";
const NOW = "2026-01-01T00:10:00Z";

/** As the dispatcher leaves it. */
const admitted: Status = nextStatus(
  undefined,
  {
    phase: "Pending",
    conditions: [
      condition("Accepted", "True", "TemplateValidated", "the Operation is valid and admitted"),
      condition("Running", "False", "Pending", "waiting for its runner"),
    ],
  },
  { now: new Date(ADMITTED), generation: 2 },
);

function statusAfter(seen: Seen): Status {
  const next = nextStatus(admitted, verdict(seen), { now: new Date(NOW), generation: 2 });
  // Those that repeat another are test/unit/api/status.test.ts's.
  return { ...next, conditions: next.conditions?.filter(({ type }) => !HEALTH.has(type)) };
}

function object(type: OperationType, phase: string | undefined, more: object = {}) {
  const status = { ...(phase !== undefined && { phase }), ...more };
  return type === "Backup" ? backup(status) : restore(status);
}

/** A whole status. */
function status(phase: Status["phase"], reason: string, conditions: Row[], more: object = {}): Status {
  return {
    phase,
    reason,
    startedAt: ADMITTED,
    observedGeneration: 2,
    conditions: conditions.map(([type, value, reason, message, lastTransitionTime]) => ({
      type,
      status: value,
      reason,
      message,
      lastTransitionTime,
      observedGeneration: 2,
    })),
    ...more,
  };
}

/** What is said of a Restore in its last phase. */
const UNTOLD =
  "in this phase Velero waits for restored claims to be bound and for hooks in restored pods to run, of this Restore or of an earlier one, and does not say which";

type Row = [type: string, status: "True" | "False", reason: string, message: string, since: string];
const ACCEPTED: Row = ["Accepted", "True", "TemplateValidated", "the Operation is valid and admitted", ADMITTED];
const OVER = { finishedAt: NOW, duration: "10m0s" };

describe.each(["Backup", "Restore"] as const)("the status of a %s", (type) => {
  const kind = `velero.io/${type}`;
  const see = (phase: string | undefined, more: object = {}, outputs?: Outputs) =>
    statusAfter({ type, object: object(type, phase, more), byCancel: false, outputs });

  it.each([
    [undefined, "New"],
    ["", "New"],
    ["New", "New"],
    ["Queued", "Queued"],
    ["ReadyToStart", "ReadyToStart"],
  ])("is Pending in phase %s", (phase, shown) => {
    const message = `${kind} waits for Velero to start it, phase ${shown}`;
    expect(see(phase)).toEqual(
      status("Pending", "Pending", [ACCEPTED, ["Running", "False", "Pending", message, ADMITTED]]),
    );
  });

  it.each([
    "InProgress",
    "WaitingForPluginOperations",
    "WaitingForPluginOperationsPartiallyFailed",
    "Finalizing",
    "FinalizingPartiallyFailed",
    "SomethingOfTheFuture",
    "constructor",
  ])("is Running in phase %s", (phase) => {
    const finalizes = type === "Restore" && phase.startsWith("Finalizing");
    const message = `${kind} is in phase ${phase}${finalizes ? `; ${UNTOLD}` : ""}`;
    const reason = `Velero${type}InProgress`;
    expect(see(phase)).toEqual(status("Running", reason, [ACCEPTED, ["Running", "True", reason, message, NOW]]));
  });

  it("tells what Velero waits for, as far as Velero does", () => {
    const prefix = type === "Backup" ? "backup" : "restore";
    const operations = (completed?: number, failed?: number) => ({
      [`${prefix}ItemOperationsAttempted`]: 3,
      ...(completed !== undefined && { [`${prefix}ItemOperationsCompleted`]: completed }),
      ...(failed !== undefined && { [`${prefix}ItemOperationsFailed`]: failed }),
    });
    const told = (phase: string, more: object) =>
      see(phase, more).conditions?.find((one) => one.type === "Running")?.message;
    const waiting = "WaitingForPluginOperations";
    expect(told(waiting, operations())).toBe(`${kind} is in phase ${waiting}; 0 of 3 item operations done`);
    expect(told(`${waiting}PartiallyFailed`, operations(1, 1))).toBe(
      `${kind} is in phase ${waiting}PartiallyFailed; 1 of 3 item operations done, 1 failed`,
    );
    expect(told("InProgress", { ...operations(1), hookStatus: { hooksAttempted: 2, hooksFailed: 1 } })).toBe(
      `${kind} is in phase InProgress; 2 hooks attempted, 1 failed`,
    );
    expect(told(waiting, { hookStatus: {} })).toBe(`${kind} is in phase ${waiting}`);
  });

  it("is Succeeded when Completed", () => {
    const [outputs, facts]: [Outputs, string] =
      type === "Backup"
        ? [{ backupItemCount: "412", backupSizeBytes: "19756849562" }, "412 items, 18.4 GiB"]
        : [{ restoreItemCount: "412" }, "412 items"];
    const message = `${kind} completed; ${facts}`;
    expect(see("Completed", {}, outputs)).toEqual(
      status(
        "Succeeded",
        `Velero${type}Completed`,
        [
          ACCEPTED,
          ["Running", "False", `Velero${type}Succeeded`, message, ADMITTED],
          ["Succeeded", "True", `Velero${type}Completed`, message, NOW],
        ],
        { ...OVER, outputs },
      ),
    );
  });

  it("is Succeeded and Degraded when PartiallyFailed", () => {
    const item = type === "Backup" ? { backupItemCount: "1" } : { restoreItemCount: "1" };
    const outputs: Outputs = { ...item, errorCount: "1", warningCount: "2" };
    const message = `${kind} partially failed; 1 item`;
    expect(see("PartiallyFailed", {}, outputs)).toEqual(
      status(
        "Succeeded",
        "PartialFailure",
        [
          ACCEPTED,
          ["Running", "False", `Velero${type}Succeeded`, message, ADMITTED],
          ["Succeeded", "True", `Velero${type}PartiallyFailed`, message, NOW],
          ["Degraded", "True", "PartialFailure", "1 error, 2 warnings: see outputs.warnings", NOW],
        ],
        { ...OVER, outputs },
      ),
    );
  });

  it("is Failed with Velero's own words", () => {
    const reason = `Velero${type}Failed`;
    const words = "backup execution failed:  two  spaces stay";
    expect(see("Failed", { failureReason: words })).toEqual(
      status(
        "Failed",
        reason,
        [ACCEPTED, ["Running", "False", reason, `${kind} failed`, ADMITTED], ["Failed", "True", reason, words, NOW]],
        OVER,
      ),
    );
  });

  it("is Failed with words of our own where Velero has none", () => {
    const failed = see("Failed").conditions?.find((one) => one.type === "Failed");
    expect(failed?.message).toBe(`${kind} failed; Velero gives no reason`);
  });

  it("is Failed and no longer Accepted when Velero refuses it", () => {
    const reason = `Velero${type}ValidationFailed`;
    const words = "no location; no backup";
    expect(see("FailedValidation", { validationErrors: ["no location", "no backup"] })).toEqual(
      status(
        "Failed",
        reason,
        [
          ["Accepted", "False", reason, words, NOW],
          ["Running", "False", reason, `${kind} failed Velero's validation`, ADMITTED],
          ["Failed", "True", reason, words, NOW],
        ],
        OVER,
      ),
    );
  });

  it.each([
    ["is in phase Deleting", "Deleting", `${kind} is being deleted, not by this Operation`],
    ["has vanished", undefined, `${kind} was deleted before it ended, not by this Operation`],
  ])("is Failed by others when the object %s", (_, phase, message) => {
    const gone = phase === undefined ? undefined : object(type, phase);
    expect(statusAfter({ type, object: gone, byCancel: false })).toEqual(
      status(
        "Failed",
        "ExternalDeletion",
        [
          ACCEPTED,
          ["Running", "False", "ExternalDeletion", message, ADMITTED],
          ["Failed", "True", "ExternalDeletion", message, NOW],
        ],
        OVER,
      ),
    );
  });

  it.each([
    ["is in phase Deleting", "Deleting"],
    ["has vanished", undefined],
  ])("is Failed and Cancelled when that was asked for and the object %s", (_, phase) => {
    const message =
      type === "Backup"
        ? "cancelled, no velero.io/Backup of this attempt is kept"
        : "cancelled, velero.io/Restore deleted; the objects that it had restored until then stay";
    const gone = phase === undefined ? undefined : object(type, phase);
    expect(statusAfter({ type, object: gone, byCancel: true })).toEqual(
      status(
        "Failed",
        "CancelledByUser",
        [
          ACCEPTED,
          ["Running", "False", "CancelledByUser", message, ADMITTED],
          ["Cancelled", "True", "CancelledByUser", message, NOW],
        ],
        OVER,
      ),
    );
  });

  it("is Failed and Cancelled when a limit was exceeded, and tells which", () => {
    const exceeded = "Velero was at work for longer than limits.maxRunTime (4h)";
    const { conditions } = verdict({ type, object: undefined, byCancel: true, exceeded, remains: "files stay" });
    const [first, second] = conditions ?? [];
    expect(first).toMatchObject({ type: "Running", status: "False", reason: "DeadlineExceeded" });
    expect(second).toMatchObject({ type: "Cancelled", status: "True", reason: "DeadlineExceeded" });
    expect(second?.message).toMatch(
      /^Velero was at work for longer than limits.maxRunTime \(4h\); cancelled, .*; files stay$/,
    );
  });

  it.each([
    ["cancelled", true],
    ["deleted by somebody else", false],
  ])("names no Backup that is not there: %s", (_, byCancel) => {
    const before = { ...admitted, outputs: { [type === "Backup" ? "backupName" : "restoreName"]: "b1" } };
    const after = nextStatus(before, verdict({ type, object: undefined, byCancel }), {
      now: new Date(NOW),
      generation: 2,
    });
    expect(after.outputs?.backupName).toBeUndefined();
    // What a Restore brought back stays, and carries its name.
    expect(after.outputs?.restoreName).toBe(type === "Restore" ? "b1" : undefined);
  });

  it.each(["Completed", "PartiallyFailed", "Failed", "FailedValidation"])(
    "ends as Velero says when a cancel came after %s",
    (phase) => {
      const seen = { type, object: object(type, phase) };
      expect(verdict({ ...seen, byCancel: true })).toEqual(verdict({ ...seen, byCancel: false }));
    },
  );
});

describe("messages", () => {
  it("say what a cancel left behind", () => {
    const { conditions } = verdict({
      type: "Backup",
      object: undefined,
      byCancel: true,
      remains: "its files may stay",
    });
    expect(conditions?.map(({ message }) => message)).toEqual([
      "cancelled, no velero.io/Backup of this attempt is kept; its files may stay",
      "cancelled, no velero.io/Backup of this attempt is kept; its files may stay",
    ]);
  });

  it("are cut to 1 KiB, never inside a character", () => {
    const failureReason = `${"x".repeat(1022)}€uro`;
    const { conditions } = verdict({
      type: "Backup",
      object: backup({ phase: "Failed", failureReason }),
      byCancel: false,
    });
    expect(conditions?.find((one) => one.type === "Failed")?.message).toBe("x".repeat(1022));
  });

  it("say nothing of what is not known", () => {
    const { conditions } = verdict({ type: "Backup", object: backup({ phase: "Completed" }), byCancel: false });
    expect(conditions?.at(-1)?.message).toBe("velero.io/Backup completed");
  });
});
