import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { type Access, accessTo } from "../access.ts";
import type { Capability, Cluster } from "../cluster.ts";
import { type Bucket, createBucket, listObjects, readObject, writeObject } from "../s3.ts";
import { storageManifests } from "../veleroStorage.ts";
import type { SharedConnection } from "./connection.ts";
import { known, kubectl } from "./kubernetesObjects.ts";
import { bucketInCluster, OBJECT_STORE_PORT, OBJECT_STORE_SELECTOR, TEST_NAMESPACE } from "./objectStore.ts";
import { portForward } from "./portForward.ts";
import { removeTraces } from "./traces.ts";

/** What can be done only by somebody who gets at the nodes. */
export type NodeAccess = Pick<Cluster, "killPod" | "audit" | "restartApiServer">;

const always: readonly Capability[] = ["evict-pod", "object-store", "real-kubelet", "run-pods", "users"];
const MUTATING_POLICIES = "mutatingadmissionpolicies.admissionregistration.k8s.io";
const withNodes: readonly Capability[] = ["audit", "csi", "kill-pod", "pause-object-store", "restart-api-server"];

/** A cluster that one test file has for itself for a while. */
export interface OpenSharedCluster extends Cluster {
  /** Ends what this process runs to get at it. */
  close(): void;
}

/**
 * Opens a cluster that all test files share: whatever an earlier one has installed is removed, and the bucket is a new
 * one. `nodes` gets at the nodes, where that is possible.
 */
export async function openSharedCluster(
  connection: SharedConnection,
  env: NodeJS.ProcessEnv,
  nodes?: (access: Access, env: NodeJS.ProcessEnv) => Promise<NodeAccess>,
): Promise<OpenSharedCluster> {
  const access = accessTo({ ...connection, cache: path.join(connection.folder, "kubectl-cache") }, env);
  await removeTraces(access);
  const nodeAccess = await nodes?.(access, env);
  const forward = portForward(access, env, OBJECT_STORE_PORT);
  const inside = await bucketInCluster(access);
  const outside = async () => ({ ...inside, endpoint: await forward.url() });
  await createBucket(await outside());
  const signalObjectStore = async (signal: NodeJS.Signals) => {
    const find = [
      "get",
      "pods",
      "-n",
      TEST_NAMESPACE,
      "-l",
      OBJECT_STORE_SELECTOR,
      "-o",
      "jsonpath={.items[*].metadata.name}",
    ];
    await (nodeAccess ?? absent).killPod(TEST_NAMESPACE, (await kubectl(access, find)).trim(), signal);
  };
  return {
    ...access,
    ...(nodeAccess ?? absent),
    driver: connection.driver,
    can: new Set([
      ...always,
      ...(nodeAccess === undefined ? [] : withNodes),
      ...((await known(access, [MUTATING_POLICIES])).length > 0 ? (["mutating-policies"] as const) : []),
    ]),
    velero: (args) =>
      access.kubectl(["exec", "-n", "velero", "deployment/velero", "-c", "velero", "--", "/velero", ...args]),
    user: (name, groups = []) => userOf(connection, access, name, groups),
    async evictPod(namespace, pod) {
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { namespace, name: pod } };
      const resource = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
      await kubectl(access, ["create", "--raw", resource, "-f", "-"], JSON.stringify(eviction));
    },
    objectStore: {
      list: async (prefix) => listObjects(await outside(), prefix),
      read: async (key) => readObject(await outside(), key),
      write: async (key, content) => writeObject(await outside(), key, content),
      async connectVelero(namespace) {
        await access.apply(storageManifests(inside, namespace));
        await giveKeys(access, namespace, inside);
      },
      pause: () => signalObjectStore("SIGSTOP"),
      resume: () => signalObjectStore("SIGCONT"),
    },
    logs: async () => ({}),
    close: () => forward.close(),
  };
}

const lacking = async (): Promise<never> => {
  throw new Error("this cluster's nodes are out of reach");
};
const absent: NodeAccess = { killPod: lacking, audit: lacking, restartApiServer: lacking };

const kubeconfigOfOne = z.looseObject({ users: z.tuple([z.looseObject({ user: z.looseObject({}) })]) });

/** A kubeconfig of the administrator's that acts as somebody else. */
async function userOf(
  { folder }: SharedConnection,
  access: Access,
  name: string,
  groups: readonly string[],
): Promise<string> {
  const own = await kubectl(access, ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
  const kubeconfig = kubeconfigOfOne.parse(JSON.parse(own));
  Object.assign(kubeconfig.users[0].user, { as: name, ...(groups.length > 0 && { "as-groups": groups }) });
  const users = path.join(folder, "users");
  await mkdir(users, { recursive: true, mode: 0o700 });
  const file = path.join(users, `${randomUUID()}.kubeconfig`);
  await writeFile(file, JSON.stringify(kubeconfig), { mode: 0o600 });
  return file;
}

/**
 * The keys for Velero's plugin beside those in the storage location's Secret: Velero writes these into a file anew each
 * time, and a plugin that reads it in that moment finds none.
 */
async function giveKeys(access: Access, namespace: string, bucket: Bucket): Promise<void> {
  const keys = [`AWS_ACCESS_KEY_ID=${bucket.accessKeyId}`, `AWS_SECRET_ACCESS_KEY=${bucket.secretAccessKey}`];
  await kubectl(access, ["set", "env", "deployment/velero", "-n", namespace, "-c", "velero", ...keys]);
}
