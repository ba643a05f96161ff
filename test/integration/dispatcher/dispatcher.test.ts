import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { testCluster } from "../../cluster/testCluster.ts";
import { Arena, installApis } from "./arena.ts";

const cluster = testCluster();
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

test("an Operation is accepted, and gets one Job that knows it", async () => {
  arena.dispatcher();
  await arena.target();
  const { metadata } = await arena.operation({ name: "nightly" });
  const operation = await arena.says("nightly", "Accepted=True/TemplateValidated");
  const job = await arena.job(operation);

  expect(job.metadata.labels).toMatchObject({
    "ops.vworkspace.io/operation": metadata.uid,
    "ops.vworkspace.io/operation-name": "nightly",
    "ops.vworkspace.io/operation-namespace": arena.tenant,
    "ops.vworkspace.io/attempt": "1",
  });
  const found = await cluster.kubectl([
    "get",
    "jobs",
    "-n",
    arena.jobNamespace,
    "-l",
    "ops.vworkspace.io/operation-name=nightly",
    "-o",
    "name",
  ]);
  expect(found.stdout.trim()).toBe(`job.batch/${job.metadata.name}`);
  expect(operation.status?.startedAt).toBeDefined();
  // The API server has taken every field as it was given: nothing of the Job was pruned or refused.
  expect(JSON.stringify(job.spec)).toContain(`{"name":"OPERATION_UID","value":"${metadata.uid}"}`);
});
