import { expect, test } from "vitest";
import { keptOperations } from "../../../src/dispatcher/kept.ts";
import { serve } from "../kube/loopback.ts";
import { Cluster } from "./cluster.ts";
import { backupOperation } from "./sampleOperation.ts";

const outputs = { warnings: ["x".repeat(1000)] };
const history = [{ attempt: 1, phase: "Failed" }];

function stored(name: string, status: object) {
  const operation = backupOperation({ name });
  const metadata = { ...operation.metadata, managedFields: [{ manager: "kubectl" }] };
  return { ...operation, metadata, status: { ...status, outputs, history } };
}

test("Operations are read in small pages, and kept without what is never looked at", async () => {
  const limits: (string | null)[] = [];
  const items = [stored("done", { phase: "Succeeded", finishedAt: "2026-11-22T10:00:00Z" }), stored("lost", {})];
  const { client } = await serve(({ url, json }) => {
    limits.push(url.searchParams.get("limit"));
    json(200, { metadata: { resourceVersion: "1" }, items });
  });
  const [done, lost] = (await client.list(keptOperations)).items;
  expect(limits).toEqual(["50"]);
  expect(done?.status).toEqual({ phase: "Succeeded", finishedAt: "2026-11-22T10:00:00Z" });
  expect(done?.metadata).toEqual(backupOperation({ name: "done" }).metadata);
  // This one may be written again, and what was cut off would be lost.
  expect(lost?.status).toEqual({ outputs, history });
});

test("one that has succeeded is never written again, whatever its conditions say", () => {
  const cluster = new Cluster();
  const operation = cluster.add({ annotations: { "ops.vworkspace.io/rerun": "again" } });
  const { conditions = [] } = cluster.status(cluster.settle(operation));
  const refused = { status: "True", reason: "RerunRefused", message: "" } as const;
  const blocked = { type: "Blocked", ...refused, lastTransitionTime: "2026-11-22T09:00:00Z" };
  cluster.setStatus(operation, { phase: "Succeeded", conditions: [...conditions, blocked] });
  cluster.annotate(operation, { "ops.vworkspace.io/rerun": undefined });
  expect(cluster.decide(operation)).toEqual({});
});
