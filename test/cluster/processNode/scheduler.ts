import { ApiException, type CoreV1Api, PatchStrategy, setHeaderOptions, type V1Pod } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { errorLine } from "./errorLine.ts";

/** Whether a pod still waits for a node: not bound, not held back by a scheduling gate, not being deleted. */
export function awaitsNode({ metadata, spec, status }: V1Pod): boolean {
  if (spec === undefined || spec.nodeName || metadata?.deletionTimestamp !== undefined) return false;
  return (spec.schedulingGates ?? []).length === 0 && (status?.phase ?? "Pending") === "Pending";
}

/** Whether a pod's nodeSelector accepts a node with these labels. */
export function fits({ spec }: V1Pod, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
}

/** Binds a waiting pod to the node, or says on the pod why it does not fit, as a scheduler does. */
export async function schedule(
  core: CoreV1Api,
  pod: V1Pod,
  node: { name: string; labels: Readonly<Record<string, string>> },
  log: Logger,
): Promise<void> {
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  try {
    if (fits(pod, node.labels)) {
      const target = { apiVersion: "v1", kind: "Node", name: node.name };
      await core.createNamespacedPodBinding({ name, namespace, body: { metadata: { name, uid }, target } });
      return;
    }
    if (pod.status?.conditions?.some(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable"))
      return;
    const message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    const conditions = [
      { type: "PodScheduled", status: "False", reason: "Unschedulable", message, lastTransitionTime: new Date() },
    ];
    await core.patchNamespacedPodStatus(
      { name, namespace, body: { metadata: { uid }, status: { conditions } } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
  } catch (error) {
    // Deleted, replaced by another pod of that name, or bound by another node: not ours any more.
    if (error instanceof ApiException && (error.code === 404 || error.code === 409)) return;
    log.warn({ reason: errorLine(error), pod: `${namespace}/${name}` }, "pod not bound");
    throw error;
  }
}
