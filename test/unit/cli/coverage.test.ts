import { describe, expect, test } from "vitest";
import type { Operation, Status } from "../../../src/api/operation.ts";
import { type CoverageInput, coverageOf, summaryOf } from "../../../src/cli/coverage.ts";
import { operation } from "../runner/operations.ts";

const now = new Date("2026-01-10T00:00:00Z");
const HOUR = 3_600_000;

/** An Operation that ended so many hours ago. */
function ended(
  hoursAgo: number,
  result: "good" | "degraded" | "unreadable" | "failed" | "cancelled",
  { type = "Backup", target = "shop", ttl }: { type?: "Backup" | "Restore"; target?: string; ttl?: string } = {},
): Operation {
  const finishedAt = new Date(now.getTime() - hoursAgo * HOUR).toISOString();
  const startedAt = new Date(Date.parse(finishedAt) - 60_000).toISOString();
  const condition = (kind: string, reason: string) =>
    ({ type: kind, status: "True", reason, message: "", lastTransitionTime: finishedAt }) as const;
  const conditions = {
    good: [condition("Succeeded", "VeleroBackupCompleted")],
    degraded: [condition("Succeeded", "VeleroBackupPartiallyFailed"), condition("Degraded", "PartialFailure")],
    unreadable: [condition("Succeeded", "VeleroBackupCompleted"), condition("Degraded", "FilesUnreadable")],
    failed: [condition("Failed", "RunnerFailed")],
    cancelled: [condition("Cancelled", "CancelledByUser")],
  }[result];
  const phase = result === "failed" || result === "cancelled" ? "Failed" : "Succeeded";
  const status: Status = { phase, conditions, startedAt, finishedAt, outputs: { backupSizeBytes: "5202" } };
  const made = operation(type, { target, status, ...(ttl && { parameters: { ttl } }) });
  return { ...made, metadata: { ...made.metadata, name: `${result}-${hoursAgo}` } };
}

function instance(name: string, namespace = "org-a") {
  const metadata = { name, namespace, uid: name, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
  return { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", metadata };
}

function covered(operations: readonly Operation[], more: Partial<CoverageInput> = {}) {
  const input = { instances: [instance("shop")], hasBackup: () => undefined, maxAgeMs: 24 * HOUR, now };
  return coverageOf({ operations, ...input, ...more });
}

describe("a target", () => {
  test("with a fresh good backup is all right, with its size and how long it took", () => {
    expect(covered([ended(5, "good"), ended(29, "failed")])).toMatchObject([
      {
        namespace: "org-a",
        target: "shop",
        flaws: [],
        lastBackup: { operation: "good-5", seconds: 60, sizeBytes: 5202 },
      },
    ]);
  });

  test.each<[string, Operation[], string[], string | undefined]>([
    ["without any was never backed up", [], ["Never"], undefined],
    ["whose last good one is old is overdue", [ended(25, "good")], ["Overdue"], undefined],
    [
      "whose last ones failed is failing since the first of those",
      [ended(50, "good"), ended(9, "failed"), ended(5, "failed")],
      ["Failing", "Overdue"],
      "failed-9",
    ],
    [
      "whose last ones are degraded is so since the first of those, and is backed up",
      [ended(50, "good"), ended(9, "degraded"), ended(5, "degraded")],
      ["Degraded"],
      "degraded-9",
    ],
    [
      "whose files cannot be read has no backup, though Velero calls it done",
      [ended(5, "unreadable")],
      ["Never", "Failing"],
      "unreadable-5",
    ],
    ["that was only ever cancelled was never backed up", [ended(5, "cancelled")], ["Never"], undefined],
    ["whose backup is over by its own ttl has none", [ended(5, "good", { ttl: "4h" })], ["Never"], undefined],
    ["that was only restored was never backed up", [ended(5, "good", { type: "Restore" })], ["Never"], undefined],
  ])("%s", (_, operations, flaws, since) => {
    const [target] = covered(operations);
    expect(target?.flaws).toEqual(flaws);
    const first = operations.find(({ metadata }) => metadata.name === since);
    expect(target?.since).toBe(first?.status?.finishedAt);
  });

  test("whose Backup Velero does not have any more was never backed up", () => {
    expect(covered([ended(5, "good")], { hasBackup: () => false })[0]?.flaws).toEqual(["Never"]);
  });

  test("is never overdue where nobody asked for an age", () => {
    expect(covered([ended(500, "good")], { maxAgeMs: undefined })[0]?.flaws).toEqual([]);
  });

  test("tells its last restore", () => {
    const [target] = covered([ended(2, "good"), ended(1, "failed", { type: "Restore" })]);
    expect(target?.lastRestore).toMatchObject({ operation: "failed-1", state: "Failed" });
    expect(target?.flaws).toEqual([]);
  });
});

describe("the targets", () => {
  test("are those that are there: one that is uninstalled needs no backup", () => {
    const targets = covered([ended(5, "good", { target: "removed" })], {
      instances: [instance("web"), instance("shop")],
    });
    expect(targets.map(({ target }) => target)).toEqual(["shop", "web"]);
  });

  test("are those that Operations name, where nobody may see what is there", () => {
    expect(covered([ended(5, "good", { target: "other" })], { instances: undefined })).toMatchObject([
      { target: "other" },
    ]);
  });

  test("are counted by what is wrong", () => {
    const targets = covered([ended(30, "good"), ended(2, "failed")], {
      instances: [instance("web"), instance("shop")],
    });
    expect(summaryOf(targets)).toEqual({ targets: 2, ok: 0, never: 1, failing: 1, overdue: 1, degraded: 0 });
  });
});
