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
  const source = { component: "operation-dispatcher", controller: "ops.vworkspace.io/dispatcher", instance: "pod-1" };
  for (const recorder of [new EventRecorder(client, silent, source), new EventRecorder(client, silent, source)]) {
    await recorder.announce(object, {
      type: "Normal",
      reason: "Accepted",
      action: "Admit",
      message: "all checks passed",
      at,
    });
    await recorder.announce(object, {
      type: "Warning",
      reason: "Blocked",
      action: "Admit",
      message: "é".repeat(2000),
      at,
    });
  }
  const { stdout } = await cluster.kubectl(["describe", "configmap", "a", "-n", namespace]);
  expect(stdout.match(/Normal +Accepted .*operation-dispatcher +all checks passed/g)).toHaveLength(1);
  const related = { apiVersion: "batch/v1", kind: "Job", namespace, name: "j" };
  const recorder = new EventRecorder(client, silent, source);
  await recorder.announce(object, {
    type: "Normal",
    reason: "JobCreated",
    action: "CreateJob",
    related,
    message: "m",
    at,
  });
  const modern = ["get", "events.events.k8s.io", "-n", namespace, "-o", "json"];
  const { items } = JSON.parse((await cluster.kubectl(modern)).stdout);
  expect(items).toContainEqual(
    expect.objectContaining({
      reason: "JobCreated",
      action: "CreateJob",
      reportingController: "ops.vworkspace.io/dispatcher",
      reportingInstance: "pod-1",
      regarding: expect.objectContaining({ kind: "ConfigMap", name: "a" }),
      related,
      note: "m",
    }),
  );
  expect(stdout.match(/Warning +Blocked .* é+/g)).toHaveLength(1);
});

test("an Event that cannot be written is no error", async () => {
  const namespace = await freshNamespace(client);
  const object = await client.create(configMaps, { metadata: { namespace, name: "a" } });
  const elsewhere = { ...object, metadata: { ...object.metadata, namespace: "no-such-namespace" } };
  const recorder = new EventRecorder(client, silent, { component: "c", controller: "example.com/c", instance: "i" });
  await expect(
    recorder.announce(elsewhere, { type: "Normal", reason: "R", action: "A", message: "m", at }),
  ).resolves.toBeUndefined();
});
