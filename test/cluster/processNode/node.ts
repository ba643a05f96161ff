import { arch, availableParallelism, totalmem } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  type KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  type V1Node,
} from "@kubernetes/client-node";
import type { Logger } from "pino";
import { errorLine } from "./errorLine.ts";

const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;

/** Labels of the node, which nodeSelectors are compared with. */
export function nodeLabels(name: string): Record<string, string> {
  return {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": arch() === "x64" ? "amd64" : arch(),
  };
}

/**
 * Registers the node as Ready, its kubelet endpoint on a loopback port, and renews its Lease until the signal aborts, so
 * that the node lifecycle controller leaves its pods alone. Resolves once registered.
 */
export async function registerNode(
  config: KubeConfig,
  name: string,
  kubeletPort: number,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const node = nodeObject(name, kubeletPort, new Date());
  try {
    await core.createNode({ body: node });
  } catch (error) {
    if (!isAnswer(error, 409)) throw error;
    await core.patchNodeStatus(
      { name, body: { status: node.status } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
  }
  void keepLease(config.makeApiClient(CoordinationV1Api), name, log, signal);
}

async function keepLease(
  coordination: CoordinationV1Api,
  name: string,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const namespace = "kube-node-lease";
  while (!signal.aborted) {
    const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: new V1MicroTime() };
    try {
      const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
      await coordination.patchNamespacedLease({ name, namespace, body: { spec } }, merge).catch((error) => {
        if (!isAnswer(error, 404)) throw error;
        return coordination.createNamespacedLease({ namespace, body: { metadata: { name }, spec } });
      });
    } catch (error) {
      log.warn({ reason: errorLine(error) }, "node lease not renewed, trying again");
    }
    await delay(RENEW_MS, undefined, { signal }).catch(() => undefined);
  }
}

function nodeObject(name: string, kubeletPort: number, now: Date): V1Node {
  const resources = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: "250",
    "ephemeral-storage": "100Gi",
  };
  const healthy = ["MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => ({
    type,
    status: "False",
    reason: "ProcessNodeHealthy",
    message: "not watched by a process node",
  }));
  const ready = {
    type: "Ready",
    status: "True",
    reason: "KubeletReady",
    message: "process node is posting ready status",
  };
  const conditions = [...healthy, ready].map((each) => ({ ...each, lastHeartbeatTime: now, lastTransitionTime: now }));
  return {
    metadata: { name, labels: nodeLabels(name) },
    status: {
      capacity: resources,
      allocatable: resources,
      conditions,
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
      nodeInfo: {
        architecture: nodeLabels(name)["kubernetes.io/arch"] ?? "",
        operatingSystem: "linux",
        osImage: "process node (a test double of a kubelet)",
        kubeletVersion: "process-node",
        kubeProxyVersion: "",
        containerRuntimeVersion: "process://1",
        kernelVersion: "",
        machineID: "",
        systemUUID: "",
        bootID: "",
      },
    },
  };
}

const isAnswer = (error: unknown, code: number): boolean => error instanceof ApiException && error.code === code;
