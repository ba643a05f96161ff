import { expect, test } from "vitest";
import { EventRecorder } from "../../../src/kube/events.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { connect, freshNamespace, silent } from "./connect.ts";

const cluster = testCluster();
const client = connect(cluster.kubeconfig);
const at = "2026-01-01T00:00:00Z";

test("kubectl describe shows each Event once, however often it is told", async () => {
  const namespace = await freshNamespace(client);
  const object = await client.create(configMaps, { metadata: { namespace, name: "a" } });
  const source = { component: "operation-dispatcher", instance: "pod-1" };
  for (const recorder of [new EventRecorder(client, silent, source), new EventRecorder(client, silent, source)]) {
    await recorder.announce(object, { type: "Normal", reason: "Accepted", message: "all checks passed", at });
    await recorder.announce(object, { type: "Warning", reason: "Blocked", message: "é".repeat(2000), at });
  }
  const { stdout } = await cluster.kubectl(["describe", "configmap", "a", "-n", namespace]);
  expect(stdout.match(/Normal +Accepted .*operation-dispatcher +all checks passed/g)).toHaveLength(1);
  expect(stdout.match(/Warning +Blocked .* é+/g)).toHaveLength(1);
});

test("an Event that cannot be written is no error", async () => {
  const namespace = await freshNamespace(client);
  const object = await client.create(configMaps, { metadata: { namespace, name: "a" } });
  const elsewhere = { ...object, metadata: { ...object.metadata, namespace: "no-such-namespace" } };
  const recorder = new EventRecorder(client, silent, { component: "c", instance: "i" });
  await expect(
    recorder.announce(elsewhere, { type: "Normal", reason: "R", message: "m", at }),
  ).resolves.toBeUndefined();
});
