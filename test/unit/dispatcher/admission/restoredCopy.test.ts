import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { openAttempt } from "../../../../src/api/status.ts";
import { Cluster, conditionsOf } from "../fakeCluster.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const status = () => cluster.status(operation);

describe("the label that Velero puts on what it restores", () => {
  const label = () => {
    const { metadata, ...rest } = cluster.current(operation);
    const labels = { "velero.io/restore-name": "r1" };
    cluster.operations.set("org-a/nightly", { ...rest, metadata: { ...metadata, labels } });
  };

  test.each([
    ["with its Job at work", () => cluster.join(operation, cluster.job(operation))],
    ["whose Job was deleted", () => cluster.jobs.clear()],
    ["that is run again", () => cluster.setStatus(operation, openAttempt({ ...status(), phase: "Failed" }))],
  ])("does not make a copy of an attempt %s", (_, stand) => {
    stand();
    label();
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Accepted=True/TemplateValidated");
    expect(cluster.job(operation).status).toBeUndefined();
  });

  test("makes a copy of one under another UID, whatever status came with it", () => {
    const { metadata, ...rest } = cluster.current(operation);
    cluster.jobs.clear();
    cluster.operations.set("org-a/nightly", { ...rest, metadata: { ...metadata, uid: "new" } });
    label();
    cluster.settle(operation);
    expect(conditionsOf(status())).toContain("Accepted=False/RestoredCopy");
    expect(cluster.jobs.size).toBe(0);
  });
});
