import { expect } from "vitest";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import type { OperationChange } from "../clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

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

/** The status says which check does not hold, and is written once. */
export function expectStatus({ operation: change, world, phase = "Pending", conditions, says }: CheckCase): void {
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
}

export function canBeMended({ mend }: CheckCase): boolean {
  return mend !== undefined;
}

export function expectAdmittedOnceMended({ operation: change, world, mend, conditions }: CheckCase): void {
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
}
