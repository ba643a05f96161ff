import { expect, test } from "vitest";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { Cluster, conditionsOf, messageOf, type OperationChange } from "../fakeCluster.ts";

export const ADMITTED = ["Accepted=True/TemplateValidated", "Running=False/Pending"];
export const BLOCKED = "Accepted=Unknown/Pending";

/** A state of the cluster in which one check of an Operation does or does not hold. */
export interface CheckCase {
  /** Begins with the number of the check in docs/contract.md. */
  what: string;
  /** What differs from an Operation that passes every check. */
  operation?: OperationChange;
  world?: (cluster: Cluster) => void;
  /** What sets things right. */
  mend?: (cluster: Cluster) => void;
  phase?: string;
  conditions: string[];
  /** The message that says why. */
  says?: RegExp;
}

export function settings(change: object): (cluster: Cluster) => void {
  return (cluster) => {
    cluster.settings = settingsSchema.parse(change);
  };
}

/** Each case ends in its conditions, which are written once; where the case can be mended, the Operation is admitted then. */
export function testChecks(cases: CheckCase[]): void {
  test.each(cases)(
    "$what: the status says so, once",
    ({ operation: change, world, phase = "Pending", conditions, says }) => {
      const cluster = new Cluster();
      const operation = cluster.add(change);
      world?.(cluster);
      cluster.step(operation);
      const status = cluster.status(operation);
      expect(status.phase).toBe(phase);
      expect(conditionsOf(status)).toEqual(conditions);
      if (says !== undefined)
        expect(messageOf(status, conditions[1]?.startsWith("Blocked") ? "Blocked" : "Accepted")).toMatch(says);
      if (conditions !== ADMITTED) expect(cluster.decide(operation)).toEqual({});
    },
  );

  test.each(cases.filter(({ mend }) => mend !== undefined))(
    "$what: admitted as soon as that is mended",
    ({ operation: change, world, mend, conditions }) => {
      const cluster = new Cluster();
      const operation = cluster.add(change);
      world?.(cluster);
      cluster.step(operation);
      mend?.(cluster);
      cluster.step(operation);
      const wasBlocked = conditions.some((one) => one.startsWith("Blocked"));
      expect(conditionsOf(cluster.status(operation))).toEqual([
        "Accepted=True/TemplateValidated",
        ...(wasBlocked ? ["Blocked=False/Unblocked"] : []),
        "Running=False/Pending",
      ]);
    },
  );
}
