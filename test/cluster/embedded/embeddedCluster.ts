import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { type Access, accessTo } from "../access.ts";
import { parseAuditLog } from "../audit.ts";
import type { Capability, Cluster, ObjectStore } from "../cluster.ts";
import { run } from "../run.ts";
import { type Bucket, listObjects, readObject, writeObject } from "../s3.ts";
import { storageManifests } from "../veleroStorage.ts";
import type { Connection } from "./connection.ts";
import { giveOrder } from "./control.ts";

const always: readonly Capability[] = ["audit", "csi", "mutating-policies", "restart-api-server", "users"];
const withNode: readonly Capability[] = ["evict-pod", "kill-pod", "object-store", "pause-object-store", "run-pods"];

/** A running embedded cluster, usable from any process of the same user. */
export function embeddedCluster(connection: Connection, env: NodeJS.ProcessEnv): Cluster {
  const { folder, socket } = connection;
  const access = accessTo({ ...connection, cache: path.join(folder, "kubectl-cache") }, env);
  return {
    ...access,
    driver: connection.driver,
    can: new Set(connection.tier === "full" ? [...always, ...withNode] : always),
    user: (name, groups = []) => giveOrder(socket, { do: "user", name, groups: [...groups] }),
    audit: async () => parseAuditLog(await readFile(connection.auditLog, "utf8")),
    restartApiServer: async () => void (await giveOrder(socket, { do: "restartApiServer" })),
    killPod: async (namespace, pod, signal) =>
      void (await giveOrder(socket, { do: "killPod", namespace, pod, signal })),
    evictPod: async (namespace, pod) => void (await giveOrder(socket, { do: "evictPod", namespace, pod })),
    velero: (args) =>
      run(path.join(access.programs, "velero"), args, { env: { ...env, KUBECONFIG: access.kubeconfig } }),
    objectStore: objectStore(connection, access.apply),
    async logs() {
      const files = await readdir(connection.logs);
      const named = files.map((file) => [path.parse(file).name, path.join(connection.logs, file)] as const);
      return Object.fromEntries([...named, ["control-plane", path.join(folder, "host.log")]]);
    },
  };
}

function objectStore({ bucket, socket }: Connection, apply: Access["apply"]): ObjectStore {
  const present = (): Bucket => {
    if (bucket === undefined) throw new Error("this cluster was started without an object store");
    return bucket;
  };
  return {
    list: async (prefix) => listObjects(present(), prefix),
    read: async (key) => readObject(present(), key),
    write: async (key, content) => writeObject(present(), key, content),
    connectVelero: async (namespace) => apply(storageManifests(present(), namespace)),
    pause: async () => void (await giveOrder(socket, { do: "pauseObjectStore" })),
    resume: async () => void (await giveOrder(socket, { do: "resumeObjectStore" })),
  };
}
