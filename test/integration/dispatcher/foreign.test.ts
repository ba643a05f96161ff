import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import * as z from "zod";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { operations } from "../../../src/api/operation.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { Arena, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

const storedSchema = z.looseObject({
  metadata: z.looseObject({ managedFields: z.array(z.looseObject({ manager: z.string() })) }),
  spec: z.looseObject({}),
});

/** An Operation as the API server has it, whole. */
async function stored(name: string) {
  const { stdout } = await cluster.kubectl([
    "get",
    "op",
    name,
    "-n",
    arena.tenant,
    "-o",
    "json",
    "--show-managed-fields",
  ]);
  const { metadata, spec } = storedSchema.parse(JSON.parse(stdout));
  const { resourceVersion: _changes, managedFields, ...rest } = metadata;
  return { metadata: rest, spec, writers: managedFields.filter(({ manager }) => manager !== "operation-dispatcher") };
}

test("what the dispatcher does not keep of an Operation is still there after it has written its status", async () => {
  await arena.target();
  const { metadata } = await arena.client.get(applicationInstances, { namespace: arena.tenant, name: "shop" });
  await arena.operation({
    name: "rich",
    parameters: { ttl: "1h", unknown: { deep: ["x".repeat(10_000)] } },
    approvals: { approvedBy: "ada", claim: "x".repeat(8000) },
    annotations: { "tools/notes": "n".repeat(10_000), "ops.vworkspace.io/rerun": "t".repeat(10_000) },
  });
  const rest = {
    labels: { "team/cost-centre": "7" },
    finalizers: ["team/hold"],
    ownerReferences: [
      { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop", uid: metadata.uid },
    ],
  };
  await arena.client.mergePatch(operations, { namespace: arena.tenant, name: "rich" }, { metadata: rest });
  const before = await stored("rich");

  arena.dispatcher();
  await arena.says("rich", "Failed=True/ValidationFailed");
  expect(await stored("rich")).toEqual(before);
  await arena.client.mergePatch(
    operations,
    { namespace: arena.tenant, name: "rich" },
    { metadata: { finalizers: null } },
  );
});

/** Writes the status of the target as its controller would. */
async function targetSays(status: object): Promise<void> {
  const patch = ["patch", "applicationinstance/shop", "-n", arena.tenant, "--subresource=status", "--type=merge", "-p"];
  expect(await cluster.kubectl([...patch, JSON.stringify({ status })])).toMatchObject({ code: 0 });
}

test("a target is read however little its Ready condition says", async () => {
  arena.dispatcher();
  await arena.client.create(applicationInstances, { metadata: { namespace: arena.tenant, name: "shop" }, spec: {} });
  await targetSays({ conditions: { Ready: "True" } });
  const operation = await arena.operation({ name: "nightly" });
  await arena.says("nightly", "Blocked=True/TargetNotReady");
  await targetSays({ conditions: [{ type: "Ready", status: "True" }] });
  await arena.job(operation);
});

test("a target that was changed since it was Ready is being reconciled", async () => {
  arena.dispatcher();
  const shop = { namespace: arena.tenant, name: "shop" };
  await arena.client.create(applicationInstances, { metadata: shop, spec: {} });
  await targetSays({ conditions: [{ type: "Ready", status: "True", observedGeneration: 1 }] });
  await arena.client.mergePatch(applicationInstances, shop, { spec: { values: { replicas: 2 } } });
  const operation = await arena.operation({ name: "nightly" });
  const { status } = await arena.says("nightly", "Blocked=True/TargetNotReady");
  expect(status?.conditions).toContainEqual(
    expect.objectContaining({ message: expect.stringContaining("is being reconciled") }),
  );
  await targetSays({ conditions: [{ type: "Ready", status: "True", observedGeneration: 2 }] });
  await arena.job(operation);
});
