import { describe, expect, it } from "vitest";
import type { Status } from "../../../src/api/operation.ts";
import { isAdmitted, nextStatus, openAttempt, resumeAttempt } from "../../../src/api/status.ts";

const at = (second: number, generation = 1) => ({ now: new Date(Date.UTC(2026, 4, 28, 10, 0, second)), generation });
const accepted = { type: "Accepted", status: "True", reason: "TemplateValidated", message: "admitted" } as const;
const pending = { type: "Running", status: "False", reason: "Pending", message: "waiting" } as const;
const running = { type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "InProgress" } as const;
const failed = { type: "Failed", status: "True", reason: "RunnerFailed", message: "killed" } as const;

const admitted = nextStatus(
  undefined,
  { phase: "Pending", conditions: [accepted, pending], runner: { attempt: 1 } },
  at(0),
);

describe("nextStatus", () => {
  it("starts the clock with the first acceptance", () => {
    expect(admitted.startedAt).toBe("2026-05-28T10:00:00Z");
    expect(nextStatus(admitted, { conditions: [accepted] }, at(9)).startedAt).toBe("2026-05-28T10:00:00Z");
  });

  it("moves lastTransitionTime only when the status of the condition changes", () => {
    const again = nextStatus(
      admitted,
      { conditions: [{ ...pending, reason: "Queued", message: "position 2" }] },
      at(5),
    );
    expect(again.conditions?.[1]).toMatchObject({ reason: "Queued", lastTransitionTime: "2026-05-28T10:00:00Z" });
    const moved = nextStatus(again, { phase: "Running", conditions: [running] }, at(7));
    expect(moved.conditions?.[1]).toMatchObject({ status: "True", lastTransitionTime: "2026-05-28T10:00:07Z" });
  });

  it("is equal to the last status when nothing new was seen", () => {
    expect(nextStatus(admitted, { phase: "Pending", conditions: [accepted, pending] }, at(30))).toEqual(admitted);
  });

  it("notes the end once, with how long it took and the reason that says most", () => {
    const ended = nextStatus(admitted, { phase: "Failed", conditions: [failed] }, at(55));
    expect(ended).toMatchObject({ finishedAt: "2026-05-28T10:00:55Z", duration: "55s", reason: "RunnerFailed" });
    expect(nextStatus(ended, { conditions: [failed] }, at(59)).finishedAt).toBe("2026-05-28T10:00:55Z");
  });

  it("never ends before it began, even if the clock of who ends it is behind", () => {
    const admittedLater = nextStatus(undefined, { phase: "Pending", conditions: [accepted] }, at(30));
    const ended = nextStatus(admittedLater, { phase: "Failed", conditions: [failed] }, at(5));
    expect(ended).toMatchObject({
      startedAt: "2026-05-28T10:00:30Z",
      finishedAt: "2026-05-28T10:00:30Z",
      duration: "0s",
    });
  });

  it("never leaves a terminal phase", () => {
    const ended = nextStatus(admitted, { phase: "Failed", conditions: [failed] }, at(1));
    expect(() => nextStatus(ended, { phase: "Running" }, at(2))).toThrow("Failed is terminal");
  });

  it("says which generation it speaks of", () => {
    const next = nextStatus(admitted, { conditions: [pending] }, at(3, 4));
    expect(next.observedGeneration).toBe(4);
    expect(next.conditions?.map((condition) => condition.observedGeneration)).toEqual([1, 4, 4]);
  });

  const health = (status: Status) =>
    (status.conditions ?? [])
      .filter(({ type }) => type === "Reconciling" || type === "Stalled")
      .map(({ type, status: value, reason, message }) => `${type}=${value}/${reason}: ${message}`);

  it("says for tools that know no Operations that it goes on, and why it waits", () => {
    expect(health(admitted)).toEqual(["Reconciling=True/Pending: waiting"]);
    expect(health(nextStatus(admitted, { phase: "Running", conditions: [running] }, at(2)))).toEqual([
      "Reconciling=True/VeleroBackupInProgress: InProgress",
    ]);
  });

  it("says for tools that know no Operations that it has failed, and why", () => {
    const ended = nextStatus(admitted, { phase: "Failed", conditions: [failed] }, at(1));
    expect(health(ended)).toEqual(["Stalled=True/RunnerFailed: killed"]);
    expect(health(nextStatus(openAttempt(ended), { conditions: [pending] }, at(2)))).toEqual([
      "Reconciling=True/Pending: waiting",
    ]);
    expect(health(nextStatus(resumeAttempt(ended), { conditions: [pending] }, at(2)))).toEqual([
      "Reconciling=True/Pending: waiting",
    ]);
  });

  it("leaves nothing of that once it has succeeded", () => {
    const done = { type: "Succeeded", status: "True", reason: "VeleroBackupCompleted", message: "done" } as const;
    const degraded = { type: "Degraded", status: "True", reason: "VeleroBackupPartiallyFailed", message: "1" } as const;
    expect(health(nextStatus(admitted, { phase: "Succeeded", conditions: [done, degraded] }, at(1)))).toEqual([]);
  });

  it("says so also where an older version wrote the status", () => {
    const older = { ...admitted, conditions: admitted.conditions?.slice(0, 2) };
    expect(health(nextStatus(older, { conditions: [pending] }, at(9)))).toEqual(["Reconciling=True/Pending: waiting"]);
  });
});

describe("openAttempt", () => {
  it("archives the ended attempt and begins the next with a clean slate", () => {
    const engineRef = { kind: "Backup", name: "b1", uid: "u1" };
    const ended = nextStatus(
      admitted,
      { phase: "Failed", conditions: [failed], engineRef, outputs: { backupName: "b1" }, observedRerun: "t1" },
      at(5),
    );
    expect(openAttempt(ended)).toEqual({
      phase: "Pending",
      conditions: [],
      runner: { attempt: 2 },
      observedRerun: "t1",
      observedGeneration: 1,
      history: [
        {
          attempt: 1,
          phase: "Failed",
          reason: "RunnerFailed",
          message: "killed",
          engineRef,
          startedAt: "2026-05-28T10:00:00Z",
          finishedAt: "2026-05-28T10:00:05Z",
        },
      ],
    });
  });
});

describe("the past of an Operation that is run again and again", () => {
  const attempted = (attempts: number) => {
    let status: Status = admitted;
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const runner = { ...status.runner, jobName: `job-${attempt}`, jobUIDs: [`${attempt}-a`, `${attempt}-b`] };
      status = openAttempt({ ...status, phase: "Failed", runner });
    }
    return status;
  };

  it("is told in full up to 20 attempts", () => {
    expect(attempted(20).history).toHaveLength(20);
    expect(attempted(20).historyOmitted).toBeUndefined();
  });

  it("is told of the last 20, and counted before them, with the Jobs that worked on it", () => {
    const { history = [], historyOmitted, runner } = attempted(22);
    expect(history.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, at) => at + 3));
    expect(historyOmitted).toEqual({ attempts: 2, jobUIDs: ["1-a", "1-b", "2-a", "2-b"] });
    expect(runner?.attempt).toBe(23);
  });

  it("has no more than 100 Jobs that it does not tell of", () => {
    const { historyOmitted } = attempted(200);
    expect(historyOmitted?.attempts).toBe(180);
    expect(historyOmitted?.jobUIDs).toHaveLength(100);
    expect(historyOmitted?.jobUIDs?.at(-1)).toBe("180-b");
  });
});

describe("resumeAttempt", () => {
  it("takes back the verdict and keeps the attempt and its Velero object", () => {
    const engineRef = { kind: "Backup", name: "b1", uid: "u1" };
    const ended = nextStatus(admitted, { phase: "Failed", conditions: [failed], engineRef }, at(5));
    const resumed = resumeAttempt(ended);
    expect(resumed).toMatchObject({ phase: "Pending", runner: { attempt: 1 }, engineRef, startedAt: ended.startedAt });
    expect([resumed.finishedAt, resumed.duration, resumed.reason]).toEqual([undefined, undefined, undefined]);
    expect(resumed.history).toBeUndefined();
    expect(isAdmitted(resumed)).toBe(true);
    expect(resumed.conditions?.map((condition) => condition.type)).toEqual(["Accepted", "Running"]);
  });
});
