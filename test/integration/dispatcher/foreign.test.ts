import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import * as z from "zod";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { operations } from "../../../src/api/operation.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

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
    fixture.tenant,
    "-o",
    "json",
    "--show-managed-fields",
  ]);
  const { metadata, spec } = storedSchema.parse(JSON.parse(stdout));
  const { resourceVersion: _changes, managedFields, ...rest } = metadata;
  return { metadata: rest, spec, writers: managedFields.filter(({ manager }) => manager !== "operation-dispatcher") };
}

test("what the dispatcher does not keep of an Operation is still there after it has written its status", async () => {
  await fixture.target();
  const { metadata } = await fixture.client.get(applicationInstances, { namespace: fixture.tenant, name: "shop" });
  await fixture.operation({
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
  await fixture.client.mergePatch(operations, { namespace: fixture.tenant, name: "rich" }, { metadata: rest });
  const before = await stored("rich");

  fixture.dispatcher();
  await fixture.says("rich", "Failed=True/ValidationFailed");
  expect(await stored("rich")).toEqual(before);
  await fixture.client.mergePatch(
    operations,
    { namespace: fixture.tenant, name: "rich" },
    { metadata: { finalizers: null } },
  );
});

/** Writes the status of the target as its controller would. */
async function targetSays(status: object): Promise<void> {
  const patch = [
    "patch",
    "applicationinstance/shop",
    "-n",
    fixture.tenant,
    "--subresource=status",
    "--type=merge",
    "-p",
  ];
  expect(await cluster.kubectl([...patch, JSON.stringify({ status })])).toMatchObject({ code: 0 });
}

test("a target is read however little its Ready condition says", async () => {
  fixture.dispatcher();
  await fixture.client.create(applicationInstances, {
    metadata: { namespace: fixture.tenant, name: "shop" },
    spec: {},
  });
  await targetSays({ conditions: { Ready: "True" } });
  const operation = await fixture.operation({ name: "nightly" });
  await fixture.says("nightly", "Blocked=True/TargetNotReady");
  await targetSays({ conditions: [{ type: "Ready", status: "True" }] });
  await fixture.job(operation);
});

test("a target that was changed since it was Ready is being reconciled", async () => {
  fixture.dispatcher();
  const shop = { namespace: fixture.tenant, name: "shop" };
  await fixture.client.create(applicationInstances, { metadata: shop, spec: {} });
  await targetSays({ conditions: [{ type: "Ready", status: "True", observedGeneration: 1 }] });
  await fixture.client.mergePatch(applicationInstances, shop, { spec: { values: { replicas: 2 } } });
  const operation = await fixture.operation({ name: "nightly" });
  const { status } = await fixture.says("nightly", "Blocked=True/TargetNotReady");
  expect(status?.conditions).toContainEqual(
    expect.objectContaining({ message: expect.stringContaining("is being reconciled") }),
  );
  await targetSays({ conditions: [{ type: "Ready", status: "True", observedGeneration: 2 }] });
  await fixture.job(operation);
});
