import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { volumeSnapshotClasses } from "../../../src/kube/resources.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";
import { Arena, installApis } from "./dispatcherFixture.ts";

// A cluster of its own, since what others test with is missing here at first.
let cluster: StartedCluster;
let arena: Arena;

beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
  await installApis(cluster, { snapshots: false });
});
afterAll(() => cluster?.down());
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

test("kinds that a cluster lacks are waited for, and found when their CRDs come", async () => {
  const dispatcher = arena.dispatcher();
  const operation = await arena.operation({ name: "nightly", parameters: { csiSnapshotClassName: "fast" } });
  await arena.says("nightly", "Accepted=False/TargetNotFound");
  const ready = await fetch(`${await dispatcher.url()}/readyz`);
  expect(ready.status).toBe(200);

  await installApis(cluster, { snapshots: true });
  await arena.target();
  await arena.says("nightly", "Blocked=True/MissingVolumeSnapshotClass");
  await arena.client.create(volumeSnapshotClasses, {
    metadata: { name: "fast" },
    driver: "d.example.com",
    deletionPolicy: "Delete",
  });
  await arena.job(operation);
});
