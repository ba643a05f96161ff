import { describe, expect, test } from "vitest";
import { jobName } from "../../../../src/api/names.ts";
import type { Condition, Status } from "../../../../src/api/operation.ts";
import { joinOrWait } from "../../../../src/runner/attempt/join.ts";
import { AttemptOver, RunMustEnd } from "../../../../src/runner/errors.ts";
import { operation } from "../operations.ts";

function condition(type: string, status: "True" | "False", reason: string): Condition {
  return { type, status, reason, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" };
}

const accepted = condition("Accepted", "True", "TemplateValidated");
const admittedSpec = "sha256:whatever";
const job = { name: "b1-job", uid: "u1", namespace: "vworkspace-system" };

function at(status: Status | undefined, labels?: Record<string, string>) {
  return joinOrWait(operation("Backup", { ...(status && { status }), ...(labels && { labels }) }), job);
}

describe("a Job", () => {
  test.each<[string, Status]>([
    ["that is new", { phase: "Pending", conditions: [accepted], admittedSpec }],
    [
      "that worked on it before",
      { phase: "Running", conditions: [accepted], admittedSpec, runner: { jobUIDs: ["u1"] } },
    ],
    [
      "after a block was cleared",
      { phase: "Pending", conditions: [accepted, condition("Blocked", "False", "Unblocked")], admittedSpec },
    ],
    [
      "whose Backup exists, admitted by an older version",
      { phase: "Running", conditions: [accepted], engineRef: { name: "b1", uid: "u" } },
    ],
  ])("%s joins an admitted Operation", (_, status) => {
    expect(at(status)).toBe("join");
  });

  test("waits until the dispatcher has recorded which spec it admitted, where an older one did not", () => {
    expect(at({ phase: "Pending", conditions: [accepted] })).toBe("wait");
    expect(at({ phase: "Pending", conditions: [accepted], engineRef: { name: "b1" } })).toBe("wait");
  });

  test.each<[string, Condition]>([
    ["Velero failed it", condition("Failed", "True", "VeleroBackupFailed")],
    ["its runner failed", condition("Failed", "True", "RunnerFailed")],
    ["it was cancelled", condition("Cancelled", "True", "CancelledByUser")],
    ["it was refused", condition("Accepted", "False", "ValidationFailed")],
  ])("that nobody knows waits for the dispatcher to decide on it after %s", (_, ended) => {
    expect(at({ phase: "Failed", conditions: [accepted, ended], runner: { jobUIDs: ["u0"] } })).toBe("wait");
  });

  test.each(["u0", "u1"])("waits for the dispatcher to admit an attempt that was opened for %s", (asked) => {
    const conditions = [condition("Blocked", "True", "AwaitingApproval")];
    expect(at({ phase: "Pending", conditions, runner: { attempt: 2, requestedBy: [asked] } })).toBe("wait");
  });

  test("that was made again by hand with the name of the dispatcher's joins the attempt that was opened for it", () => {
    const { metadata } = operation("Backup");
    const history = [{ attempt: 1, phase: "Failed", jobName: jobName(metadata, 1), jobUIDs: ["u0"] }];
    const runner = { attempt: 2, requestedBy: ["u1"] };
    const status: Status = { phase: "Pending", conditions: [accepted], admittedSpec, runner, history };
    const opened = operation("Backup", { status });
    expect(joinOrWait(opened, { ...job, name: jobName(metadata, 1) })).toBe("join");
  });

  test.each<[string, Status]>([
    ["succeeded", { phase: "Succeeded", conditions: [accepted] }],
    ["failed while this Job worked on it", { phase: "Failed", conditions: [accepted], runner: { jobUIDs: ["u1"] } }],
    ["failed before this Job, made for it, came", { phase: "Failed", runner: { requestedBy: ["u1"] } }],
    ["was cancelled by upstream", { phase: "Cancelled", conditions: [accepted] }],
  ])("has nothing to do for an Operation that %s", (_, status) => {
    expect(() => at(status)).toThrow(AttemptOver);
  });

  test.each<[string, Status | undefined, string]>([
    ["nobody looked at", undefined, "not admitted: the dispatcher has not accepted the Operation yet"],
    [
      "was refused",
      { phase: "Pending", conditions: [condition("Accepted", "False", "TargetNotFound")] },
      "not admitted: TargetNotFound",
    ],
    [
      "is blocked",
      { phase: "Pending", conditions: [accepted, condition("Blocked", "True", "AwaitingApproval")] },
      "not admitted: AwaitingApproval",
    ],
    [
      "has gone on to another attempt",
      {
        phase: "Failed",
        conditions: [accepted],
        runner: { attempt: 2 },
        history: [
          { attempt: 1, phase: "Failed", reason: "VeleroBackupFailed", jobName: "other", jobUIDs: ["u0", "u1"] },
        ],
      },
      "this Job worked on attempt 1, which is over: VeleroBackupFailed",
    ],
  ])("may not act for an Operation that %s", (_, status, message) => {
    expect(() => at(status)).toThrow(RunMustEnd);
    expect(() => at(status)).toThrow(message);
  });

  test("may not run a cancelled Operation again while that is still asked for", () => {
    const { metadata, ...rest } = operation("Backup", { status: { phase: "Failed", conditions: [accepted] } });
    const annotations = { "ops.vworkspace.io/cancel": "true" };
    const cancelled = { ...rest, metadata: { ...metadata, annotations } };
    expect(() => joinOrWait(cancelled, job)).toThrow("remove ops.vworkspace.io/cancel first");
  });

  test("goes on with an Operation that a restore has only touched", () => {
    const { metadata } = operation("Backup");
    const status: Status = {
      phase: "Running",
      conditions: [accepted],
      admittedSpec,
      runner: { jobName: jobName(metadata, 1) },
    };
    expect(at(status, { "velero.io/restore-name": "r1" })).toBe("join");
  });

  test("made again by hand under the name that it had in an earlier attempt is another one", () => {
    const history = [{ attempt: 1, phase: "Failed", jobName: "b1-job", jobUIDs: ["u0"] }];
    const ended = [accepted, condition("Failed", "True", "VeleroBackupFailed")];
    expect(at({ phase: "Failed", conditions: ended, runner: { attempt: 2, jobUIDs: ["u9"] }, history })).toBe("wait");
  });

  test("of the dispatcher's may not act for a later attempt, even if it never wrote down that it is there", () => {
    const { metadata } = operation("Backup");
    const history = [{ attempt: 1, phase: "Failed" }];
    const late = operation("Backup", {
      status: { phase: "Pending", conditions: [accepted], admittedSpec, runner: { attempt: 2 }, history },
    });
    expect(() => joinOrWait(late, { ...job, name: jobName(metadata, 1) })).toThrow(RunMustEnd);
    expect(joinOrWait(late, { ...job, name: jobName(metadata, 2) })).toBe("join");
  });

  test("may not act for a later attempt either when the history has no room for its own", () => {
    const { metadata } = operation("Backup");
    const status: Status = {
      phase: "Pending",
      conditions: [accepted],
      admittedSpec,
      runner: { attempt: 24 },
      historyOmitted: { attempts: 3, jobUIDs: ["u1"] },
    };
    const late = operation("Backup", { status });
    expect(() => joinOrWait(late, job)).toThrow("is over");
    for (const attempt of [1, 2, 3]) {
      expect(() => joinOrWait(late, { ...job, uid: "u9", name: jobName(metadata, attempt) })).toThrow(RunMustEnd);
    }
    expect(joinOrWait(late, { ...job, uid: "u9", name: jobName(metadata, 24) })).toBe("join");
  });

  test("may not act for an Operation that came out of a backup", () => {
    expect(() => at({ phase: "Pending", conditions: [accepted] }, { "velero.io/restore-name": "r1" })).toThrow(
      RunMustEnd,
    );
  });
});
