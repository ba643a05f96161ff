import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { volumeSnapshotClasses } from "../../../src/kube/resources.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// A cluster of its own, since what others test with is missing here at first.
let cluster: StartedCluster;
let fixture: DispatcherFixture;

beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
  await installApis(cluster, { snapshots: false });
});
afterAll(() => cluster?.down());
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

test("kinds that a cluster lacks are waited for, and found when their CRDs come", async () => {
  const dispatcher = fixture.dispatcher();
  const operation = await fixture.operation({ name: "nightly", parameters: { csiSnapshotClassName: "fast" } });
  await fixture.says("nightly", "Accepted=False/TargetNotFound");
  const ready = await fetch(`${await dispatcher.url()}/readyz`);
  expect(ready.status).toBe(200);

  await installApis(cluster, { snapshots: true });
  await fixture.target();
  await fixture.says("nightly", "Blocked=True/MissingVolumeSnapshotClass");
  await fixture.client.create(volumeSnapshotClasses, {
    metadata: { name: "fast" },
    driver: "d.example.com",
    deletionPolicy: "Delete",
  });
  await fixture.job(operation);
});
