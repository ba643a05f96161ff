import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { testCluster } from "../../cluster/testCluster.ts";
import { healthOf } from "../../scenario/gitopsHealth.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

test("Flux, Helm and Argo CD wait for an Operation that waits, from its first moment on, and not for one that is refused for good", async () => {
  const untouched = await fixture.operation({ name: "new", parameters: { ttl: "24h" } });
  fixture.dispatcher();
  const waits = await fixture.says("new", "Accepted=False/TargetNotFound");
  await fixture.target();
  const admitted = await fixture.says("new", "Accepted=True/TemplateValidated");
  await fixture.operation({ name: "approval", approvals: { required: true } });
  const approval = await fixture.says("approval", "Blocked=True/AwaitingApproval");
  await fixture.operation({ name: "wrong", parameters: { itemOperationTimeout: "soon" } });
  const refused = await fixture.says("wrong", "Failed=True/ValidationFailed");

  const told = await healthOf([untouched, waits, admitted, approval, refused]);
  expect(told.map(({ kstatus, argo }) => [kstatus.status, argo.status])).toEqual([
    ["InProgress", "Progressing"],
    ["InProgress", "Progressing"],
    ["InProgress", "Progressing"],
    ["InProgress", "Suspended"],
    ["Failed", "Degraded"],
  ]);
  // They show why, in the words of the condition that says it.
  expect(told[1]?.kstatus.message).toContain("shop");
  expect(told[4]?.kstatus.message).toContain("itemOperationTimeout");
  expect(told[4]?.argo.message).toBe(told[4]?.kstatus.message);
});
