import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
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

/** An Operation that has succeeded. */
async function done(name: string, metadata: { labels?: object; annotations?: object } = {}): Promise<void> {
  await fixture.operation({ name });
  await fixture.client.mergePatch(operations, { namespace: fixture.tenant, name }, { metadata });
  await fixture.report(name, { phase: "Succeeded" });
}

const names = async () => {
  const { items } = await fixture.client.list(operations, { namespace: fixture.tenant });
  return items.map(({ metadata }) => metadata.name);
};

const SETTINGS = { OPERATION_RUNNER_RETENTION_KEEP: "1", OPERATION_RUNNER_RETENTION_MIN_AGE: "1ms" };

test("finished Operations go beyond the newest, but for those that a GitOps tool would make again", async () => {
  await fixture.allowRetention(cluster);
  await done("a-flux", { labels: { "kustomize.toolkit.fluxcd.io/name": "apps" } });
  await done("b-argo", { annotations: { "argocd.argoproj.io/tracking-id": "x" } });
  await done("c-helm", { labels: { "app.kubernetes.io/managed-by": "Helm" } });
  await done("d-plain");
  await done("e-plain");
  await fixture.client.create(operations, {
    metadata: { name: "f-open", namespace: fixture.tenant },
    spec: {
      type: "Backup",
      engine: "velero",
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "nowhere" },
    },
  });
  // Times are whole seconds: the newest has to be the only one of its own.
  const then = new Date().getUTCSeconds();
  await expect.poll(() => new Date().getUTCSeconds()).not.toBe(then);
  await done("g-newest");
  fixture.dispatcher(SETTINGS);
  await expect.poll(names, { timeout: 60_000 }).toEqual(["a-flux", "b-argo", "c-helm", "f-open", "g-newest"]);
});

test("nothing goes where nobody has asked for it", async () => {
  await fixture.allowRetention(cluster);
  await done("a");
  await done("b");
  fixture.dispatcher({ OPERATION_RUNNER_RETENTION_MIN_AGE: "1ms" });
  await fixture.operation({ name: "c" });
  await fixture.says("c", "Accepted=False/TargetNotFound");
  expect(await names()).toEqual(["a", "b", "c"]);
});
