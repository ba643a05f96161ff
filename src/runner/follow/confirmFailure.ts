import type { VeleroObject } from "../../api/velero.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "../object/veleroObject.ts";

/**
 * How long an object that a restarting Velero called Failed may take to become Completed after all, in milliseconds.
 */
const CONFIRMATION_MS = 30_000;

/**
 * Waits until an object's phase can be believed. When Velero's server starts, it calls every InProgress object Failed;
 * some of these were seen to become Completed a little later. So the runner waits a while before it believes such a
 * failure. docs/velero-facts.md#phases.
 *
 * @returns the object as it is then; undefined when it is gone
 * @throws the context's signal's reason, and nothing else
 */
export async function confirmFailure(
  context: RunnerContext,
  object: VeleroObject | undefined,
): Promise<VeleroObject | undefined> {
  if (object?.status?.phase !== "Failed" || !hasFailedAtServerStart(object)) return object;
  const { client, clock, logger } = context;
  const done = new AbortController();
  const signal = AbortSignal.any([context.signal, done.signal]);
  let current: VeleroObject | undefined = object;
  const hasRecovered = (now: VeleroObject | undefined) => {
    current = now?.metadata.uid === object.metadata.uid ? now : undefined;
    return current?.status?.phase !== "Failed";
  };
  logger.info("Velero restarted and called the object Failed; waiting a while in case it completes after all");
  const resource = veleroResource(object.kind === "Restore" ? "Restore" : "Backup");
  const watched = awaitCondition(client, resource, object.metadata, hasRecovered, { signal, logger, clock });
  const deadline = clock.sleep(CONFIRMATION_MS, signal);
  try {
    await Promise.race([watched, deadline]);
    return current;
  } finally {
    done.abort();
    await Promise.allSettled([watched, deadline]);
  }
}

function hasFailedAtServerStart({ status }: VeleroObject): boolean {
  return status?.failureReason?.includes("during the server starting") ?? false;
}
