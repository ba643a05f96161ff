import type { VeleroObject } from "../../api/velero.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "../object/veleroObject.ts";

/** How long a backup that Velero gave up when it restarted may take to turn out well, in milliseconds. */
const SECOND_THOUGHTS_MS = 30_000;

/**
 * The object once what it says can be believed. A server that starts calls what was InProgress Failed, which was seen to
 * become Completed a little later: such an end is waited upon for a while. docs/velero-facts.md#phases.
 *
 * @returns the object as it is then; undefined when it is gone
 * @throws the context's signal's reason, and nothing else
 */
export async function confirmFailure(
  context: RunnerContext,
  object: VeleroObject | undefined,
): Promise<VeleroObject | undefined> {
  if (object?.status?.phase !== "Failed" || !isGivenUpAtStart(object)) return object;
  const { client, clock, logger } = context;
  const enough = new AbortController();
  const signal = AbortSignal.any([context.signal, enough.signal]);
  let current: VeleroObject | undefined = object;
  const changesItsMind = (now: VeleroObject | undefined) => {
    current = now?.metadata.uid === object.metadata.uid ? now : undefined;
    return current?.status?.phase !== "Failed";
  };
  logger.info("Velero restarted and gave it up, waiting whether that is the last word");
  const resource = veleroResource(object.kind === "Restore" ? "Restore" : "Backup");
  const watched = awaitCondition(client, resource, object.metadata, changesItsMind, { signal, logger, clock });
  const late = clock.sleep(SECOND_THOUGHTS_MS, signal);
  try {
    await Promise.race([watched, late]);
    return current;
  } finally {
    enough.abort();
    await Promise.allSettled([watched, late]);
  }
}

function isGivenUpAtStart({ status }: VeleroObject): boolean {
  return status?.failureReason?.includes("during the server starting") ?? false;
}
