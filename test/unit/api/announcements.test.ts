import { expect, test } from "vitest";
import { announcements } from "../../../src/api/announcements.ts";
import type { Condition, Status } from "../../../src/api/operation.ts";

function condition(type: string, status: Condition["status"], reason: string): Condition {
  return { type, status, reason, message: `${type} is ${status}`, lastTransitionTime: "2026-01-01T00:00:00Z" };
}

const accepted = condition("Accepted", "True", "TemplateValidated");
const pending = condition("Running", "False", "Pending");
const running = condition("Running", "True", "VeleroBackupInProgress");

test.each<[string, Condition[], Condition[], string[]]>([
  ["an admission is left to the Event of its Job, and what is not so yet is not told", [], [accepted, pending], []],
  ["the start is told", [accepted, pending], [accepted, running], ["Normal VeleroBackupInProgress"]],
  [
    "an end is told once",
    [accepted, running],
    [
      accepted,
      condition("Running", "False", "VeleroBackupSucceeded"),
      condition("Succeeded", "True", "VeleroBackupCompleted"),
    ],
    ["Normal VeleroBackupCompleted"],
  ],
  [
    "a degraded end is told as both",
    [accepted, running],
    [
      accepted,
      condition("Running", "False", "VeleroBackupSucceeded"),
      condition("Succeeded", "True", "VeleroBackupCompleted"),
      condition("Degraded", "True", "VeleroBackupPartiallyFailed"),
    ],
    ["Normal VeleroBackupCompleted", "Warning VeleroBackupPartiallyFailed"],
  ],
  [
    "trouble with the pod is told",
    [accepted, running],
    [accepted, condition("Running", "False", "Unschedulable")],
    ["Normal Unschedulable"],
  ],
  ["a refusal is told", [], [condition("Accepted", "False", "TargetNotFound")], ["Warning TargetNotFound"]],
  ["what stays is not told again", [accepted, running], [accepted, running], []],
])("%s", (_, before, after, expected) => {
  const told = announcements({ conditions: before }, { conditions: after });
  expect(told.map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
});

const job = { apiVersion: "batch/v1", kind: "Job", namespace: "system", name: "b1-1" };
const engineRef = { apiVersion: "velero.io/v1", kind: "Backup", namespace: "velero", name: "b1" };

test.each<[string, Condition, Pick<Status, "engineRef">, object]>([
  ["a refusal, nothing yet", condition("Accepted", "False", "TargetNotFound"), {}, { action: "Admit" }],
  ["a Job without pods, the Job", condition("Running", "False", "Unschedulable"), {}, { action: "Run", related: job }],
  ["the work, Velero's object", running, { engineRef }, { action: "Run", related: engineRef }],
  [
    "the end, too",
    condition("Failed", "True", "VeleroBackupFailed"),
    { engineRef },
    { action: "Run", related: engineRef },
  ],
  [
    "a cancel, too",
    condition("Cancelled", "True", "CancelledByUser"),
    { engineRef },
    { action: "Cancel", related: engineRef },
  ],
])("the Event of %s is related to it", (_, changed, status, expected) => {
  const runner = { jobName: job.name, jobNamespace: job.namespace };
  const [told] = announcements(
    { conditions: [condition("Running", "True", "Begun")] },
    { conditions: [changed], runner, ...status },
  );
  expect({ action: told?.action, ...(told?.related && { related: told.related }) }).toEqual(expected);
});
