import type { OperationType } from "../../api/operation.ts";
import type { DeleteBackupRequest, VeleroObject } from "../../api/velero.ts";
import type { Resource } from "../../kube/resource.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "../object/veleroObject.ts";
import { deleteRequestsChanged } from "./deleteRequests.ts";

/** While Velero's run goes on, the runner looks for new volume data no more often than this, in milliseconds. */
const LOOK_AGAIN_MS = 10_000;

/** Waits until an object has changed since it was read, or is gone. */
export async function objectChanged(
  context: RunnerContext,
  resource: Resource<VeleroObject>,
  { metadata }: VeleroObject,
  signal: AbortSignal,
): Promise<void> {
  const { client, logger, clock } = context;
  const isNew = (now: VeleroObject | undefined) => now?.metadata.resourceVersion !== metadata.resourceVersion;
  await awaitCondition(client, resource, metadata, isNew, { signal, logger, clock });
}

/** Waits until the phase of an object has changed; after a while, until anything has: there may be new volume data. */
export async function phaseChanged(
  context: RunnerContext,
  resource: Resource<VeleroObject>,
  { metadata, status }: VeleroObject,
): Promise<void> {
  const { client, signal, logger, clock } = context;
  const since = clock.monotonic();
  const isNews = (now: VeleroObject | undefined) =>
    now?.metadata.uid !== metadata.uid ||
    now.status?.phase !== status?.phase ||
    (now.metadata.resourceVersion !== metadata.resourceVersion && clock.monotonic() - since >= LOOK_AGAIN_MS);
  await awaitCondition(client, resource, metadata, isNews, { signal, logger, clock });
}

/**
 * Waits until the object, or one of the requests for its deletion, has changed since it was read.
 *
 * @param name the object's name, also when the object is gone already
 * @param requests the DeleteBackupRequests for that name, as they were read
 */
export async function deletionProgressed(
  context: RunnerContext,
  type: OperationType,
  name: string,
  object: VeleroObject | undefined,
  requests: readonly DeleteBackupRequest[],
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const waits = [
    ...(object === undefined ? [] : [objectChanged(context, veleroResource(type), object, signal)]),
    ...(type === "Backup" ? [deleteRequestsChanged(context, name, requests, signal)] : []),
  ];
  try {
    await Promise.race(waits);
  } finally {
    stop.abort();
    await Promise.allSettled(waits);
  }
}
