import { describe, expect, test } from "vitest";
import type { Condition, Status } from "../../../src/api/operation.ts";
import { exitOf, hasEnded, situationOf } from "../../../src/cli/situation.ts";
import { operation } from "../runner/operations.ts";

const at = "2026-01-01T00:05:00Z";

function condition(type: string, status: Condition["status"], reason: string, message = ""): Condition {
  return { type, status, reason, message, lastTransitionTime: at };
}

const accepted = condition("Accepted", "True", "TemplateValidated");

function situation(status?: Status) {
  return situationOf(operation("Backup", { ...(status && { status }) }));
}

describe("where an Operation stands", () => {
  test("that nobody has looked at: New, since it was created", () => {
    expect(situation()).toEqual({ state: "New", reason: "", message: "", since: "2026-01-01T00:00:00Z" });
  });

  test.each<[string, Status, string, string]>([
    [
      "held back, rather than accepted",
      {
        phase: "Pending",
        conditions: [
          accepted,
          condition("Blocked", "True", "TargetNotReady"),
          condition("Running", "False", "Pending"),
        ],
      },
      "Waiting",
      "TargetNotReady",
    ],
    [
      "not accepted",
      { phase: "Pending", conditions: [condition("Accepted", "False", "TargetNotFound")] },
      "Waiting",
      "TargetNotFound",
    ],
    [
      "no longer held back, in line",
      {
        phase: "Pending",
        conditions: [condition("Blocked", "False", "Unblocked"), condition("Running", "False", "Queued")],
      },
      "Waiting",
      "Queued",
    ],
    [
      "at work",
      { phase: "Running", conditions: [accepted, condition("Running", "True", "VeleroBackupInProgress")] },
      "Running",
      "VeleroBackupInProgress",
    ],
    [
      "to be cancelled, which goes on",
      {
        phase: "Running",
        conditions: [
          accepted,
          condition("Running", "True", "VeleroBackupInProgress"),
          condition("Cancelled", "Unknown", "CancelRequested"),
        ],
      },
      "Cancelling",
      "CancelRequested",
    ],
    [
      "succeeded",
      { phase: "Succeeded", conditions: [condition("Succeeded", "True", "VeleroBackupCompleted")] },
      "Succeeded",
      "VeleroBackupCompleted",
    ],
    [
      "succeeded, but not with all",
      {
        phase: "Succeeded",
        conditions: [
          condition("Succeeded", "True", "VeleroBackupPartiallyFailed"),
          condition("Degraded", "True", "PartialFailure"),
        ],
      },
      "Degraded",
      "PartialFailure",
    ],
    [
      "failed",
      { phase: "Failed", conditions: [accepted, condition("Failed", "True", "RunnerFailed")] },
      "Failed",
      "RunnerFailed",
    ],
    [
      "refused for good",
      { phase: "Failed", conditions: [condition("Accepted", "False", "ValidationFailed")] },
      "Failed",
      "ValidationFailed",
    ],
    [
      "cancelled",
      { phase: "Failed", conditions: [accepted, condition("Cancelled", "True", "DeadlineExceeded")] },
      "Cancelled",
      "DeadlineExceeded",
    ],
  ])("%s", (_, status, state, reason) => {
    expect(situation(status)).toMatchObject({ state, reason, since: at });
  });

  test("that another program carries out: Foreign, whatever its status says", () => {
    const { spec, ...rest } = operation("Backup", { status: { phase: "Running" } });
    expect(situationOf({ ...rest, spec: { ...spec, engine: "helm" } })).toMatchObject({ state: "Foreign" });
  });
});

test("the exit code tells success from failure, and degraded only where that is asked for", () => {
  const code = (state: "Succeeded" | "Degraded" | "Failed" | "Cancelled", strict = false) =>
    exitOf({ state, reason: "", message: "", since: at }, { strict });
  expect([code("Succeeded"), code("Degraded"), code("Failed"), code("Cancelled")]).toEqual([0, 0, 2, 2]);
  expect([code("Succeeded", true), code("Degraded", true), code("Failed", true)]).toEqual([0, 4, 2]);
});

test("only what has ended has ended", () => {
  const states = ["New", "Foreign", "Waiting", "Running", "Cancelling", "Succeeded", "Degraded", "Failed", "Cancelled"];
  const ended = states.filter((state) => hasEnded({ ...situation(), state: state as "New" }));
  expect(ended).toEqual(["Succeeded", "Degraded", "Failed", "Cancelled"]);
});
