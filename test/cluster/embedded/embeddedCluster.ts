import { readdir } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { readAuditLog } from "../audit.ts";
import type { Capability, Cluster, ObjectStore } from "../cluster.ts";
import { run } from "../run.ts";
import { type Bucket, listObjects, readObject } from "../s3.ts";
import { storageManifests } from "../veleroStorage.ts";
import type { Connection } from "./connection.ts";
import { giveOrder } from "./control.ts";

const always: readonly Capability[] = ["audit", "csi", "restart-api-server", "users"];
const withNode: readonly Capability[] = ["evict-pod", "kill-pod", "object-store", "pause-object-store", "run-pods"];

/** A running embedded cluster, usable from any process of the same user. */
export function embeddedCluster(connection: Connection, env: NodeJS.ProcessEnv): Cluster {
  const { kubeconfig, folder, socket, programs } = connection;
  const kubectlEnv = {
    ...env,
    // Nothing of the user's own, neither settings nor cache, is read or written.
    KUBERC: "off",
    KUBECACHEDIR: path.join(folder, "kubectl-cache"),
  };
  const cluster: Cluster = {
    driver: connection.driver,
    can: new Set(connection.tier === "full" ? [...always, ...withNode] : always),
    kubeconfig,
    programs,
    kubectl: (args, options = {}) =>
      run(path.join(programs, "kubectl"), args, {
        env: { ...kubectlEnv, KUBECONFIG: options.as ?? kubeconfig },
        input: options.input,
      }),
    async apply(manifests) {
      const args = ["apply", "--server-side"];
      const result =
        typeof manifests === "string"
          ? await cluster.kubectl([...args, (await isKustomization(manifests)) ? "-k" : "-f", manifests])
          : await cluster.kubectl([...args, "-f", "-"], {
              input: manifests.map((object) => stringify(object)).join("---\n"),
            });
      if (result.code !== 0) throw new Error(`kubectl apply failed: ${result.stderr.trim()}`);
    },
    user: (name, groups = []) => giveOrder(socket, { do: "user", name, groups: [...groups] }),
    audit: () => readAuditLog(connection.auditLog),
    restartApiServer: async () => void (await giveOrder(socket, { do: "restartApiServer" })),
    killPod: async (namespace, pod, signal) =>
      void (await giveOrder(socket, { do: "killPod", namespace, pod, signal })),
    evictPod: async (namespace, pod) => void (await giveOrder(socket, { do: "evictPod", namespace, pod })),
    objectStore: objectStore(connection, (objects) => cluster.apply(objects)),
    async logs() {
      const files = await readdir(connection.logs);
      const named = files.map((file) => [path.parse(file).name, path.join(connection.logs, file)] as const);
      return Object.fromEntries([...named, ["control-plane", path.join(folder, "host.log")]]);
    },
  };
  return cluster;
}

function objectStore(
  { bucket, socket }: Connection,
  apply: (objects: readonly object[]) => Promise<void>,
): ObjectStore {
  const present = (): Bucket => {
    if (bucket === undefined) throw new Error("this cluster was started without an object store");
    return bucket;
  };
  return {
    list: async (prefix) => listObjects(present(), prefix),
    read: async (key) => readObject(present(), key),
    connectVelero: async (namespace) => apply(storageManifests(present(), namespace)),
    pause: async () => void (await giveOrder(socket, { do: "pauseObjectStore" })),
    resume: async () => void (await giveOrder(socket, { do: "resumeObjectStore" })),
  };
}

async function isKustomization(target: string): Promise<boolean> {
  return readdir(target).then(
    (files) => files.includes("kustomization.yaml"),
    () => false,
  );
}
