import { afterAll, beforeAll, expect, test } from "vitest";
import type { OwnedCluster } from "../../cluster/cluster.ts";
import { TEST_NAMESPACE } from "../../cluster/shared/objectStore.ts";
import { rememberBefore, removeTraces } from "../../cluster/shared/traces.ts";
import { startCluster } from "../../cluster/startCluster.ts";
import { listObjects } from "../../scenario/operations.ts";
import { waitFor } from "../../scenario/platform.ts";

// One that nobody else uses: everything that is new in it is removed.
let cluster: OwnedCluster;

beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => {} });
  await cluster.apply([namespace(TEST_NAMESPACE)]);
});

afterAll(() => cluster?.down());

const namespace = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
const volume = (name: string) => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name },
  spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/nowhere" } },
});

async function everything(): Promise<string[]> {
  const kinds = "namespaces,persistentvolumes,customresourcedefinitions,validatingadmissionpolicies,clusterroles";
  return (await listObjects(cluster, [kinds])).map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
}

test("a cluster with a Velero of its own is refused: the tests would remove it", async () => {
  await cluster.apply([namespace("velero")]);
  await expect(rememberBefore(cluster)).rejects.toThrow("namespaces/velero");
  await expect(removeTraces(cluster)).rejects.toThrow("nobody wrote down");
  await cluster.kubectl(["delete", "namespace", "velero"]);
});

test("what was there before the tests stays, and whatever they installed goes, guarded or not", async () => {
  const theirs = [namespace("theirs"), volume("theirs")];
  const settings = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace: "theirs" } };
  await cluster.apply([...theirs, settings]);
  await rememberBefore(cluster);
  const before = await everything();

  // Its CRDs are refused to be deleted until the policy that does so is gone; its Restore waits for a Velero to let go.
  await cluster.apply("manifests/crds");
  await cluster.apply("manifests/velero/crds.yaml");
  await waitFor(cluster, ["crd/restores.velero.io", "crd/operations.ops.vworkspace.io"], "condition=Established");
  const guarded = {
    name: "back",
    namespace: "velero",
    finalizers: ["restores.velero.io/external-resources-finalizer"],
  };
  await cluster.apply([
    namespace("velero"),
    { apiVersion: "velero.io/v1", kind: "Restore", metadata: guarded, spec: { backupName: "some" } },
    volume("ours"),
  ]);
  await rememberBefore(cluster);
  await removeTraces(cluster);

  expect(await everything()).toEqual(before);
  expect(
    await listObjects(cluster, ["configmaps", "-n", "theirs", "--field-selector=metadata.name=settings"]),
  ).toHaveLength(1);
});
