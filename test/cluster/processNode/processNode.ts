import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import type { Logger } from "pino";
import type { Images } from "./images.ts";
import { startKubeletEndpoint } from "./kubeletEndpoint.ts";
import { nodeLabels, registerNode } from "./node.ts";
import { NodePod } from "./pod.ts";
import { PooledConfig } from "./pooledConfig.ts";
import { createPorts } from "./ports.ts";
import { awaitsNode, schedule } from "./scheduler.ts";
import { watchPods } from "./watch.ts";

export interface ProcessNodeOptions {
  /** Kubeconfig file of an administrator, with the cluster's CA in it. */
  kubeconfig: string;
  /** Folder of the node; it is made when missing, and nothing is written anywhere else. */
  dir: string;
  images: Images;
  log: Logger;
  /** The node's name; "process-node" when left out. */
  name?: string;
}

/** A test double of a kubelet: pods run as local processes. README.md beside this file says what it honours. */
export interface ProcessNode {
  readonly name: string;
  /** Kills every process of the node, as a power cut would: what the API server shows of its pods stays as it is. */
  stop(): Promise<void>;
  /** Signals the process of a container (every running container of the pod when none is named). */
  kill(namespace: string, pod: string, signal: NodeJS.Signals, container?: string): Promise<void>;
  /** Ends a pod as a node under memory pressure does; resolves when the pod shows it. */
  evict(namespace: string, pod: string): Promise<void>;
}

/**
 * Starts a process node: registers a Node, binds the pods that fit it and runs them. Resolves when the node is registered.
 *
 * @throws Error when the kubeconfig cannot be read, or ApiException when the API server refuses the node
 */
export async function startProcessNode(options: ProcessNodeOptions): Promise<ProcessNode> {
  const { dir, images, name = "process-node" } = options;
  const log = options.log.child({ node: name });
  const config = new PooledConfig();
  config.loadFromFile(options.kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${options.kubeconfig} names no cluster`);
  const clusterCa = cluster.caData
    ? Buffer.from(cluster.caData, "base64").toString()
    : await readFile(cluster.caFile ?? "", "utf8");
  const root = join(dir, "pods");
  await mkdir(root, { recursive: true });

  const stopping = new AbortController();
  const pods = new Map<string, NodePod>();
  const dependencies = {
    core,
    server: cluster.server,
    root,
    images,
    searchPath: process.env.PATH ?? "",
    freePort: createPorts(),
    log,
  };
  const labels = nodeLabels(name);
  const removals = new Set<Promise<void>>();

  const find = (namespace: string, pod: string): NodePod | undefined =>
    [...pods.values()].find((each) => each.pod.metadata?.namespace === namespace && each.pod.metadata.name === pod);
  const expect = (namespace: string, pod: string): NodePod => {
    const found = find(namespace, pod);
    if (found === undefined) throw new Error(`no pod ${namespace}/${pod} on node ${name}`);
    return found;
  };

  function changed(pod: V1Pod): void {
    const uid = pod.metadata?.uid ?? "";
    if (awaitsNode(pod)) void bind(pod);
    if (pod.spec?.nodeName !== name) return;
    const known = pods.get(uid);
    if (known === undefined) pods.set(uid, new NodePod(pod, dependencies));
    else known.changed(pod);
  }

  async function bind(pod: V1Pod): Promise<void> {
    for (let waiting = true; waiting && !stopping.signal.aborted; ) {
      waiting = await schedule(core, pod, { name, labels }, log).then(
        () => false,
        () => true,
      );
      if (waiting) await delay(500, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function deleted(pod: V1Pod): void {
    const uid = pod.metadata?.uid ?? "";
    const known = pods.get(uid);
    if (known === undefined) return;
    pods.delete(uid);
    const removal = known.removed(pod).finally(() => removals.delete(removal));
    removals.add(removal);
  }

  const endpoint = await startKubeletEndpoint(clusterCa, (namespace, pod, container, previous) =>
    find(namespace, pod)?.log(container, previous),
  );
  try {
    await registerNode(config, name, endpoint.port, log, stopping.signal);
  } catch (error) {
    await endpoint.close();
    throw error;
  }
  const watching = watchPods(
    config,
    core,
    {
      listed(list) {
        const present = new Set(list.map(({ metadata }) => metadata?.uid));
        for (const [uid, known] of pods) if (!present.has(uid)) deleted(known.pod);
        list.forEach(changed);
      },
      changed,
      deleted,
    },
    log,
    stopping.signal,
  );

  return {
    name,
    async kill(namespace, pod, signal, container) {
      expect(namespace, pod).kill(signal, container);
    },
    async evict(namespace, pod) {
      await expect(namespace, pod).evict();
    },
    async stop() {
      stopping.abort();
      await watching;
      await Promise.all([...[...pods.values()].map((pod) => pod.stop()), ...removals]);
      await endpoint.close();
    },
  };
}
