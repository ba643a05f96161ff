import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  type V1Container,
  type V1JobSpec,
  type V1Pod,
  type V1PodSpec,
} from "@kubernetes/client-node";
import { pino } from "pino";
import { expect, vi } from "vitest";
import type { Images } from "../../cluster/processNode/images.ts";
import { type ProcessNode, startProcessNode } from "../../cluster/processNode/processNode.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";

export const namespace = "process-node";
export const log = pino({ level: "silent" });

/** An image that runs the container's command as it is, and one that serves HTTP on the container's port 8080. */
export const images: Images = {
  "test/shell": ({ container }) => ({ command: [...container.command, ...container.args] }),
  "test/web": ({ port, container }) => ({
    command: [process.execPath, "-e", webServer],
    env: { PORT: String(port(8080)), READY: container.env.READY ?? "yes" },
  }),
};
const webServer = `
  require("node:http").createServer((request, response) => {
    response.writeHead(request.url === "/ready" && process.env.READY === "yes" ? 200 : 503).end();
  }).listen(Number(process.env.PORT), "127.0.0.1");
`;

/** A control plane, a process node and a namespace in which pods run on it. */
export class ProcessNodeFixture {
  readonly cluster: StartedCluster;
  readonly node: ProcessNode;
  /** The node's own. */
  readonly folder: string;
  readonly kubectlProgram: string;
  readonly core: CoreV1Api;
  readonly batch: BatchV1Api;
  readonly apps: AppsV1Api;

  private constructor(cluster: StartedCluster, config: KubeConfig, node: ProcessNode, folder: string) {
    this.cluster = cluster;
    this.node = node;
    this.folder = folder;
    this.kubectlProgram = join(cluster.programs, "kubectl");
    this.core = config.makeApiClient(CoreV1Api);
    this.batch = config.makeApiClient(BatchV1Api);
    this.apps = config.makeApiClient(AppsV1Api);
  }

  static async open(): Promise<ProcessNodeFixture> {
    // Not the cluster that other files share: a node takes every pod there is.
    const cluster = await startCluster({ tier: "api", env: process.env, progress: () => {} });
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    const folder = await mkdtemp(join(tmpdir(), "process-node-"));
    const node = await startProcessNode({ kubeconfig: cluster.kubeconfig, dir: folder, images, log });
    const fixture = new ProcessNodeFixture(cluster, config, node, folder);
    await fixture.core.createNamespace({ body: { metadata: { name: namespace } } });
    await until(() => fixture.core.readNamespacedServiceAccount({ name: "default", namespace }));
    return fixture;
  }

  async close(): Promise<void> {
    await this.node.stop();
    await this.cluster.down();
    await rm(this.folder, { recursive: true, force: true });
  }

  async kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cluster.kubectl(["--namespace", namespace, ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  }

  async createPod(name: string, spec: V1PodSpec, labels: Record<string, string> = {}): Promise<string | undefined> {
    const pod = await this.core.createNamespacedPod({ namespace, body: { metadata: { name, labels }, spec } });
    return pod.metadata?.uid;
  }

  async createJob(name: string, containers: V1Container[], job: Partial<V1JobSpec> = {}, pod: Partial<V1PodSpec> = {}) {
    const template = { spec: { restartPolicy: "Never", containers, ...pod } };
    await this.batch.createNamespacedJob({ namespace, body: { metadata: { name }, spec: { ...job, template } } });
  }

  podIn(name: string, phase: string): Promise<V1Pod> {
    return until(async () => {
      const pod = await this.core.readNamespacedPod({ name, namespace });
      expect(pod.status?.phase).toBe(phase);
      return pod;
    });
  }

  async podsOf(job: string): Promise<V1Pod[]> {
    return (await this.core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` })).items;
  }

  runningPodOf(job: string, except?: string): Promise<V1Pod> {
    return until(async () => {
      const pod = (await this.podsOf(job)).find(
        ({ metadata, status }) => metadata?.uid !== except && status?.phase === "Running",
      );
      return pod ?? expect.unreachable(`no running pod of ${job}`);
    });
  }

  async jobSucceeded(name: string): Promise<void> {
    await until(async () =>
      expect((await this.batch.readNamespacedJob({ name, namespace })).status?.succeeded).toBe(1),
    );
  }

  /** Waits until a Deployment is rolled out, without the pod `except`; returns its pods. */
  rolledOut(name: string, replicas: number, except?: string): Promise<V1Pod[]> {
    return until(async () => {
      const { status, metadata } = await this.apps.readNamespacedDeployment({ name, namespace });
      const { observedGeneration, updatedReplicas, availableReplicas } = status ?? {};
      expect({ observedGeneration, updatedReplicas, availableReplicas, all: status?.replicas }).toEqual({
        observedGeneration: metadata?.generation,
        updatedReplicas: replicas,
        availableReplicas: replicas,
        all: replicas,
      });
      const { items } = await this.core.listNamespacedPod({ namespace, labelSelector: `app=${name}` });
      return items.filter((pod) => pod.metadata?.uid !== except && pod.metadata?.deletionTimestamp === undefined);
    });
  }

  /** Waits until the pod object, or that very one of its name, is gone. */
  async gone(name: string, uid: string | undefined): Promise<void> {
    await until(async () => {
      const { items } = await this.core.listNamespacedPod({ namespace, fieldSelector: `metadata.name=${name}` });
      expect(items.filter(({ metadata }) => metadata?.uid === uid)).toEqual([]);
    });
  }

  /** The pid that a pod's process printed into its log. */
  printedPid(name: string): Promise<number> {
    return until(async () => {
      await this.podIn(name, "Running");
      const pid = Number(await this.kubectl("logs", name));
      expect(pid).toBeGreaterThan(1);
      return pid;
    });
  }
}

export const until = <T>(attempt: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(attempt, { timeout: 30_000, interval: 50 });

export const shell = (script: string): V1Container => ({
  name: "main",
  image: "test/shell:1",
  command: ["sh", "-c", script],
});

export function pidOf(pod: V1Pod | undefined): number {
  const pid = Number(pod?.status?.containerStatuses?.[0]?.containerID?.replace("process://", ""));
  expect(pid).toBeGreaterThan(1);
  return pid;
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
