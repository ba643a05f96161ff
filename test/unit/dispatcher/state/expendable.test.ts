import { describe, expect, test } from "vitest";
import type { Operation, VeleroOperation } from "../../../../src/api/operation.ts";
import { expendable } from "../../../../src/dispatcher/state/expendable.ts";
import { backupOperation } from "../sampleOperation.ts";

const NOW = new Date("2026-11-26T12:00:00Z");
const KEPT = { keep: 2, minAge: "24h" };

/** An Operation that ended so many days ago. */
function ended(name: string, phase: "Succeeded" | "Failed", days: number, target = "shop"): VeleroOperation {
  const operation = backupOperation({ name, target });
  const finishedAt = new Date(NOW.getTime() - days * 24 * 3_600_000).toISOString();
  return { ...operation, metadata: { ...operation.metadata, uid: name }, status: { phase, finishedAt } };
}

const gone = (operations: Operation[], retention = KEPT) =>
  expendable(operations, retention, NOW).map(({ metadata }) => metadata.name);

describe("of the finished Operations", () => {
  test("the newest of each target stay, those that succeeded and those that did not, whatever came in between", () => {
    const operations = [
      ...[9, 8, 7, 6].map((days) => ended(`good-${days}`, "Succeeded", days)),
      ...[5, 4, 3].map((days) => ended(`bad-${days}`, "Failed", days)),
      ended("other", "Succeeded", 10, "blog"),
    ];
    expect(gone(operations)).toEqual(["good-9", "good-8", "bad-5"]);
  });

  test("the last failure stays, whatever was cancelled since", () => {
    const cancelled = { type: "Cancelled", status: "True", reason: "Cancelled", message: "", lastTransitionTime: "" };
    const later = [5, 4].map((days) => {
      const operation = ended(`cancelled-${days}`, "Failed", days);
      return { ...operation, status: { ...operation.status, conditions: [cancelled] } } as VeleroOperation;
    });
    expect(gone([ended("bad", "Failed", 9), ...later], { keep: 1, minAge: "24h" })).toEqual(["cancelled-5"]);
  });

  test("what ended lately stays, and what does not say when", () => {
    const today = [0.1, 0.2, 0.3, 0.4].map((days) => ended(`good-${days}`, "Succeeded", days));
    const unknown = { ...ended("odd", "Succeeded", 9), status: { phase: "Succeeded" as const } };
    expect(gone([...today, unknown])).toEqual([]);
  });

  test("what an open Restore names stays, in whatever way it names it", () => {
    const restore = (parameters: object): VeleroOperation => {
      const operation = backupOperation({ name: "back", type: "Restore" });
      return { ...operation, spec: { ...operation.spec, parameters: { ...parameters } }, status: { phase: "Pending" } };
    };
    const operations = [9, 8, 7].map((days) => ended(`good-${days}`, "Succeeded", days));
    for (const backupName of ["good-9", "operation/good-9", "operation/org-a/good-9"]) {
      expect(gone([...operations, restore({ backupName })])).toEqual([]);
    }
    expect(gone([...operations, restore({ backupName: "backup/good-9" })])).toEqual(["good-9"]);
    const elsewhere = restore({ backupName: "good-9", namespaceMapping: { "org-a": "org-b" } });
    const inB = { ...elsewhere, metadata: { ...elsewhere.metadata, namespace: "org-b" } };
    expect(gone([...operations, inB])).toEqual([]);
  });

  test("one whose runner gave up while Velero may go on stays", () => {
    const operations = [9, 8, 7].map((days) => ended(`bad-${days}`, "Failed", days));
    const [oldest] = operations;
    const condition = {
      type: "Failed",
      status: "True",
      reason: "RunnerFailed",
      message: "",
      lastTransitionTime: "",
    } as const;
    const lost = { ...oldest, status: { ...oldest?.status, conditions: [condition] } } as VeleroOperation;
    expect(gone([lost, ...operations.slice(1)])).toEqual([]);
  });
});
