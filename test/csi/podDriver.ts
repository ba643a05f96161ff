import type { Cluster } from "../cluster/cluster.ts";
import { imageOf } from "../cluster/images/images.ts";
import { listObjects } from "../scenario/operations.ts";
import { waitFor } from "../scenario/platform.ts";
import { DRIVER, parseRequests, SNAPSHOT_BYTES, type SnapshotDriver } from "./driver.ts";

const NAMESPACE = "csi-double";
const POD = "csi-double";
const at = { name: POD, namespace: NAMESPACE };

/** The driver as a driver is installed: in a pod, its sidecars beside it. The snapshot CRDs have to be there. */
export async function startPodDriver(cluster: Cluster): Promise<SnapshotDriver> {
  const control = ["exec", "-n", NAMESPACE, POD, "-c", "csi-double", "--", "/csi-double", "-folder", "/csi"];
  const ask = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.kubectl([...control, ...args]);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: at },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: NAMESPACE },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", ...at }],
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: at,
      spec: {
        serviceAccountName: POD,
        containers: [
          await container("csi-double", "-folder", "/csi", "-driver", DRIVER, "-size", String(SNAPSHOT_BYTES)),
          await container("csi-snapshotter", "--csi-address=/csi/csi.sock", "--extra-create-metadata"),
          // Without the CRDs of group snapshots, which are not in use here, it would look for them for 30 s first.
          await container("snapshot-controller", "--feature-gates=CSIVolumeGroupSnapshot=false"),
        ],
        volumes: [{ name: "csi", emptyDir: {} }],
      },
    },
  ]);
  await waitFor(cluster, [`pod/${POD}`, "-n", NAMESPACE], "condition=Ready");
  return {
    refuse: async (words) => void (await (words === undefined ? ask("accept") : ask("refuse", words))),
    snapshots: async () => parseRequests(await ask("snapshots")),
    async stop() {
      const [pod] = await listObjects(cluster, ["pods", "-n", NAMESPACE]);
      await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
      if (JSON.stringify(pod?.status).match(/"restartCount":[1-9]/))
        throw new Error("a program of the CSI driver ended");
    },
  };
}

async function container(program: "csi-double" | "csi-snapshotter" | "snapshot-controller", ...args: string[]) {
  return { name: program, image: await imageOf(program), args, volumeMounts: [{ name: "csi", mountPath: "/csi" }] };
}
