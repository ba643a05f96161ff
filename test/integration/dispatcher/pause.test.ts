import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { jobName } from "../../../src/api/names.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { jobs } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// A Restore's target is paused for as long as somebody works for it, whatever happens to the dispatcher.

const cluster = testCluster();
const ON = { OPERATION_RUNNER_PAUSE_TARGET: "true" };
const RECONCILE = "apps.vworkspace.io/reconcile";
const PAUSED_BY = "ops.vworkspace.io/paused-by";
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

const restore = (name: string) => fixture.operation({ name, type: "Restore", parameters: { backupName: "b1" } });

/** Waits until the target says this of its pause. */
async function target(reconcile: string | undefined, by: Operation | undefined): Promise<void> {
  await fixture.until(applicationInstances, { namespace: fixture.tenant, name: "shop" }, (seen) => {
    const { [RECONCILE]: said, [PAUSED_BY]: holder } = seen?.metadata.annotations ?? {};
    return said === reconcile && holder === (by && `${by.metadata.uid}/1`);
  });
}

test("the target is paused before the Job is there, and free again when the Restore has ended", async () => {
  await fixture.allowPause(cluster);
  fixture.dispatcher(ON);
  await fixture.target();
  const operation = await restore("first");
  await target("disabled", operation);
  await fixture.job(operation);
  await fixture.succeed("first");
  await target(undefined, undefined);
});

test("without the right to pause it there is no Job, and the Operation says why; with it, it goes on", async () => {
  const dispatcher = fixture.dispatcher(ON);
  await fixture.target();
  const operation = await restore("first");
  await fixture.until(operations, { namespace: fixture.tenant, name: "first" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) =>
      message.includes("its target cannot be paused: the API server answered 403 Forbidden"),
    ),
  );
  const object = { namespace: fixture.jobNamespace, name: jobName({ ...operation.metadata }, 1) };
  await expect(fixture.client.get(jobs, object)).rejects.toThrow("404");
  await fixture.allowPause(cluster);
  await fixture.job(operation);
  await target("disabled", operation);
  expect(await dispatcher.stop("SIGTERM")).toBe(0);
});

test("a dispatcher that is killed leaves no target paused for ever: its successor ends what is over", async () => {
  await fixture.allowPause(cluster);
  const first = fixture.dispatcher(ON);
  await fixture.target();
  const operation = await restore("first");
  const { metadata } = await fixture.job(operation);
  await target("disabled", operation);
  await first.stop("SIGKILL");
  // While nobody looks, the Operation goes, and its Job.
  await fixture.client.delete(operations, { namespace: fixture.tenant, name: "first" });
  await fixture.client.delete(
    jobs,
    { namespace: fixture.jobNamespace, name: metadata.name },
    { propagationPolicy: "Background" },
  );
  await target("disabled", operation);
  fixture.dispatcher({ ...ON, POD_NAME: "dispatcher-0" });
  await target(undefined, undefined);
});

test("a dispatcher that is killed between the pause and the Job: its successor makes the Job under the same pause", async () => {
  await fixture.allowPause(cluster);
  await fixture.target();
  const object = { namespace: fixture.tenant, name: "shop" };
  const operation = await restore("first");
  // As its predecessor left it: admitted and paused, and no Job yet.
  await fixture.report("first", {
    phase: "Pending",
    runner: { attempt: 1 },
    conditions: [{ type: "Accepted", status: "True", reason: "TemplateValidated", message: "" }],
  });
  const annotations = { [RECONCILE]: "disabled", [PAUSED_BY]: `${operation.metadata.uid}/1` };
  await fixture.client.mergePatch(applicationInstances, object, { metadata: { annotations } });
  const { metadata } = await fixture.client.get(applicationInstances, object);
  fixture.dispatcher(ON);
  await fixture.job(operation);
  expect((await fixture.client.get(applicationInstances, object)).metadata.resourceVersion).toBe(
    metadata.resourceVersion,
  );
  await fixture.succeed("first");
  await target(undefined, undefined);
});

test("a pause that somebody else has made is there after the Restore as it was before", async () => {
  await fixture.allowPause(cluster);
  await fixture.target();
  const object = { namespace: fixture.tenant, name: "shop" };
  await fixture.client.mergePatch(applicationInstances, object, {
    metadata: { annotations: { [RECONCILE]: "disabled" } },
  });
  const { metadata } = await fixture.client.get(applicationInstances, object);
  fixture.dispatcher(ON);
  await fixture.job(await restore("first"));
  await fixture.succeed("first");
  await fixture.job(await restore("second"));
  expect((await fixture.client.get(applicationInstances, object)).metadata.resourceVersion).toBe(
    metadata.resourceVersion,
  );
});
