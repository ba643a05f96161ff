import { setTimeout as delay } from "node:timers/promises";
import { type CoreV1Api, type KubeConfig, type V1Pod, Watch } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { errorLine } from "./errorLine.ts";

/** What becomes of the cluster's pods, as the node is told. */
export interface PodEvents {
  /** The whole list: a pod that is not in it is gone. */
  listed(pods: V1Pod[]): void;
  changed(pod: V1Pod): void;
  deleted(pod: V1Pod): void;
}

/**
 * Follows all pods until the signal aborts: a list, then a watch from there, resumed when the connection ends and begun
 * anew with a list when the API server no longer knows the version (410).
 */
export async function watchPods(
  config: KubeConfig,
  core: CoreV1Api,
  events: PodEvents,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let version: string | undefined;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const list = await core.listPodForAllNamespaces();
        if (signal.aborted) return;
        events.listed(list.items);
        version = list.metadata?.resourceVersion;
      }
      version = await watchFrom(version);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ reason: errorLine(error) }, "watch of pods interrupted, resuming");
      await delay(200, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Resolves when the watch ends, with the version to go on from, or undefined when that is too old. */
  function watchFrom(from: string | undefined): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const ended = new AbortController();
      let failure: unknown;
      const seen = (type: string, object: V1Pod & { code?: number; message?: string }): void => {
        if (signal.aborted) return;
        if (type === "ERROR") {
          failure = Object.assign(new Error(object.message), { statusCode: object.code });
          return;
        }
        version = object.metadata?.resourceVersion;
        if (type === "DELETED") events.deleted(object);
        else if (type !== "BOOKMARK") events.changed(object);
      };
      const done = (error: unknown): void => {
        ended.abort();
        const cause = error ?? failure;
        if (!(cause instanceof Error) || cause.name === "TimeoutError" || cause.name === "AbortError") resolve(version);
        else if ("statusCode" in cause && cause.statusCode === 410) resolve(undefined);
        else reject(cause);
      };
      new Watch(config)
        .watch("/api/v1/pods", { resourceVersion: from, allowWatchBookmarks: true }, seen, done)
        .then((watching) => {
          if (signal.aborted) watching.abort();
          else signal.addEventListener("abort", () => watching.abort(), { once: true, signal: ended.signal });
        }, reject);
    });
  }
}
