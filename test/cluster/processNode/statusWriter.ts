import { setTimeout as delay } from "node:timers/promises";
import {
  ApiException,
  type CoreV1Api,
  PatchStrategy,
  setHeaderOptions,
  type V1Pod,
  type V1PodStatus,
} from "@kubernetes/client-node";
import type { Logger } from "pino";
import { errorLine } from "./errorLine.ts";

/** Writes the latest status of one pod, and keeps trying while the API server is away. */
export interface StatusWriter {
  /** Replaces what is to be written next. */
  set(status: V1PodStatus): void;
  /** Resolves when the latest status is written, the pod is gone, or the signal aborted. */
  written(): Promise<void>;
}

/**
 * Makes the writer of one pod's status. As a kubelet, it sends a strategic merge patch that names the pod's UID, so that
 * conditions of others (an eviction's DisruptionTarget) stay and a new pod of the same name is never touched.
 */
export function createStatusWriter(core: CoreV1Api, pod: V1Pod, log: Logger, signal: AbortSignal): StatusWriter {
  const { name = "", namespace = "", uid } = pod.metadata ?? {};
  let next: V1PodStatus | undefined;
  let writing: Promise<void> | undefined;
  let gone = false;

  async function write(): Promise<void> {
    while (next !== undefined && !gone && !signal.aborted) {
      const status = next;
      try {
        // An absent key would leave the old reason beside a new status: say null.
        const conditions = status.conditions?.map((condition) => ({ reason: null, message: null, ...condition }));
        await core.patchNamespacedPodStatus(
          { name, namespace, body: { metadata: { uid }, status: { ...status, conditions } } },
          setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
        );
        if (next === status) next = undefined;
      } catch (error) {
        // 404: deleted; 409: another pod has this name now.
        if (error instanceof ApiException && (error.code === 404 || error.code === 409)) gone = true;
        else {
          log.warn({ reason: errorLine(error) }, "pod status not written, trying again");
          await delay(300, undefined, { signal }).catch(() => undefined);
        }
      }
    }
  }

  return {
    set(status) {
      next = status;
      writing ??= write().finally(() => {
        writing = undefined;
      });
    },
    async written() {
      await writing;
    },
  };
}
