import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { jobName } from "../../../src/api/names.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { jobs } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { Arena, installApis } from "./dispatcherFixture.ts";

// A Restore's target is paused for as long as somebody works for it, whatever happens to the dispatcher.

const cluster = testCluster();
const ON = { OPERATION_RUNNER_PAUSE_TARGET: "true" };
const RECONCILE = "apps.vworkspace.io/reconcile";
const PAUSED_BY = "ops.vworkspace.io/paused-by";
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

const restore = (name: string) => arena.operation({ name, type: "Restore", parameters: { backupName: "b1" } });

/** Waits until the target says this of its pause. */
async function target(reconcile: string | undefined, by: Operation | undefined): Promise<void> {
  await arena.until(applicationInstances, { namespace: arena.tenant, name: "shop" }, (seen) => {
    const { [RECONCILE]: said, [PAUSED_BY]: holder } = seen?.metadata.annotations ?? {};
    return said === reconcile && holder === (by && `${by.metadata.uid}/1`);
  });
}

test("the target is paused before the Job is there, and free again when the Restore has ended", async () => {
  await arena.allowPause(cluster);
  arena.dispatcher(ON);
  await arena.target();
  const operation = await restore("first");
  await target("disabled", operation);
  await arena.job(operation);
  await arena.succeed("first");
  await target(undefined, undefined);
});

test("without the right to pause it there is no Job, and the Operation says why; with it, it goes on", async () => {
  const dispatcher = arena.dispatcher(ON);
  await arena.target();
  const operation = await restore("first");
  await arena.until(operations, { namespace: arena.tenant, name: "first" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) =>
      message.includes("its target cannot be paused: the API server answered 403 Forbidden"),
    ),
  );
  const object = { namespace: arena.jobNamespace, name: jobName({ ...operation.metadata }, 1) };
  await expect(arena.client.get(jobs, object)).rejects.toThrow("404");
  await arena.allowPause(cluster);
  await arena.job(operation);
  await target("disabled", operation);
  expect(await dispatcher.stop("SIGTERM")).toBe(0);
});

test("a dispatcher that is killed leaves no target paused for ever: its successor ends what is over", async () => {
  await arena.allowPause(cluster);
  const first = arena.dispatcher(ON);
  await arena.target();
  const operation = await restore("first");
  const { metadata } = await arena.job(operation);
  await target("disabled", operation);
  await first.stop("SIGKILL");
  // While nobody looks, the Operation goes, and its Job.
  await arena.client.delete(operations, { namespace: arena.tenant, name: "first" });
  await arena.client.delete(
    jobs,
    { namespace: arena.jobNamespace, name: metadata.name },
    { propagationPolicy: "Background" },
  );
  await target("disabled", operation);
  arena.dispatcher({ ...ON, POD_NAME: "dispatcher-0" });
  await target(undefined, undefined);
});

test("a dispatcher that is killed between the pause and the Job: its successor makes the Job under the same pause", async () => {
  await arena.allowPause(cluster);
  await arena.target();
  const object = { namespace: arena.tenant, name: "shop" };
  const operation = await restore("first");
  // As its predecessor left it: admitted and paused, and no Job yet.
  await arena.report("first", {
    phase: "Pending",
    runner: { attempt: 1 },
    conditions: [{ type: "Accepted", status: "True", reason: "TemplateValidated", message: "" }],
  });
  const annotations = { [RECONCILE]: "disabled", [PAUSED_BY]: `${operation.metadata.uid}/1` };
  await arena.client.mergePatch(applicationInstances, object, { metadata: { annotations } });
  const { metadata } = await arena.client.get(applicationInstances, object);
  arena.dispatcher(ON);
  await arena.job(operation);
  expect((await arena.client.get(applicationInstances, object)).metadata.resourceVersion).toBe(
    metadata.resourceVersion,
  );
  await arena.succeed("first");
  await target(undefined, undefined);
});

test("a pause that somebody else has made is there after the Restore as it was before", async () => {
  await arena.allowPause(cluster);
  await arena.target();
  const object = { namespace: arena.tenant, name: "shop" };
  await arena.client.mergePatch(applicationInstances, object, {
    metadata: { annotations: { [RECONCILE]: "disabled" } },
  });
  const { metadata } = await arena.client.get(applicationInstances, object);
  arena.dispatcher(ON);
  await arena.job(await restore("first"));
  await arena.succeed("first");
  await arena.job(await restore("second"));
  expect((await arena.client.get(applicationInstances, object)).metadata.resourceVersion).toBe(
    metadata.resourceVersion,
  );
});
