import { Label } from "../../api/labels.ts";
import { labelValue } from "../../api/names.ts";
import type { OperationType } from "../../api/operation.ts";
import { type DeleteBackupRequest, deleteBackupRequests, type VeleroObject } from "../../api/velero.ts";
import { type Backoff, backoffDelay } from "../../kube/backoff.ts";
import { mayBeRestored } from "../../kube/errors.ts";
import type { Resource } from "../../kube/resource.ts";
import { retry } from "../../kube/retry.ts";
import { awaitCondition } from "../../kube/wait.ts";
import { watchResource } from "../../kube/watch.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { isMovementOver, movementsOf } from "../follow/dataMovement.ts";
import { redactedNotes } from "../hideVeleroMessages.ts";
import { ownershipLabels } from "../object/ownership.ts";
import { remove } from "../object/remove.ts";
import { getVelero, veleroResource } from "../object/veleroObject.ts";
import { findArchiveOwner } from "./archiveOwner.ts";
import { type ArchiveOwner, type CancelResult, nextCancelStep } from "./cancelStep.ts";

/** Between two requests that Velero refused, such as while the storage location is unavailable. */
const REFUSED: Backoff = { minMs: 5_000, maxMs: 60_000 };
/** Before it is looked whether a request that nobody answered was heard. */
const UNANSWERED: Backoff = { minMs: 500, maxMs: 30_000 };
/** While a run goes on, new volume data is looked for no more often than this, in milliseconds. */
const LOOK_AGAIN_MS = 10_000;

export interface CancelOptions {
  /** An earlier run has begun with it, so that nothing is kept that ended since. */
  readonly decided?: boolean;
  /** Told, in words for the Operation's status, what the cancel waits for. */
  readonly tell?: (message: string) => Promise<void>;
}

/**
 * Ends a Backup or a Restore on request, as {@link nextCancelStep} decides, however long Velero takes: only the context's
 * signal ends it early, and the next runner goes on. docs/contract.md#cancel.
 *
 * @param object as it was when the cancel was seen: what had been Completed or PartiallyFailed by then is kept, unless the
 *   cancel was decided before
 * @throws ApiError, UnreachableError when the API server does not cooperate; the signal's reason once it aborts
 */
export async function cancel(
  context: RunnerContext,
  type: OperationType,
  object: VeleroObject,
  { decided = false, tell = async () => {} }: CancelOptions = {},
): Promise<CancelResult> {
  const { name } = object.metadata;
  let last = object;
  let archiveOwner: ArchiveOwner | undefined;
  let refusals = 0;
  let failures = 0;
  let waited = false;
  for (;;) {
    // In this order: a request that is told as done then goes with a Backup read after it was done.
    const deleteRequests = type === "Backup" ? await deleteRequestsFor(context, name) : [];
    const current = await getVelero(context, type, name);
    const step = nextCancelStep({ asked: object, decided, last, current, deleteRequests, archiveOwner });
    context.logger.debug({ step: step.do, phase: current?.status?.phase }, "cancel");
    if ("object" in step && step.object !== undefined) last = step.object;
    switch (step.do) {
      case "end":
        return step.result;
      case "delete":
        await remove(context, veleroResource(type), step.object, step.unchanged);
        break;
      case "waitForStart":
        await tell("cancel: Velero is about to start the backup, which cannot be removed until it has");
        await changed(context, veleroResource(type), step.object, context.signal);
        break;
      case "waitForRun":
        await tell(
          `cancel: Velero's run cannot be interrupted, waiting for its end (phase ${step.object.status?.phase})`,
        );
        if (type === "Backup") await cancelData(context, step.object);
        await phaseChanged(context, veleroResource(type), step.object);
        break;
      case "waitForDeletion":
        await tell(`cancel: waiting until Velero has deleted the ${type}`);
        await deletionWentOn(context, type, name, step.object, deleteRequests);
        break;
      case "inspectStore":
        archiveOwner = await findArchiveOwner(retryingBriefly(context), step.object);
        break;
      case "requestDeletion":
        // After a pause everything is read again: the name may be somebody else's by then.
        if (step.refused.length > 0 && !waited) {
          refusals += 1;
          context.logger.warn({ errors: step.refused }, "Velero did not delete the backup, will ask again");
          await tell(
            `cancel: Velero did not delete the backup, will ask again: ${redactedNotes(context, step.refused, step.object).join("; ")}`,
          );
          await context.clock.sleep(backoffDelay(refusals, REFUSED, Math.random()), context.signal);
          waited = true;
          break;
        }
        waited = false;
        archiveOwner = undefined;
        try {
          await requestDeletion(context, step.object);
        } catch (error) {
          if (!mayBeRestored(error)) throw error;
          // Whether it took effect is read back in the next round.
          failures += 1;
          context.logger.warn({ err: error, failures }, "no answer to the request for deletion, will look again");
          await context.clock.sleep(backoffDelay(failures, UNANSWERED, Math.random()), context.signal);
        }
        break;
      case "withdraw":
        for (const request of step.requests) await remove(context, deleteBackupRequests, request, true);
        break;
    }
  }
}

async function deleteRequestsFor(context: RunnerContext, backupName: string): Promise<DeleteBackupRequest[]> {
  const selection = deleteRequestSelection(context, backupName);
  const { items } = await retry(() => context.client.list(deleteBackupRequests, selection, context), context);
  return items.filter((request) => request.spec?.backupName === backupName);
}

function deleteRequestSelection(context: RunnerContext, backupName: string) {
  const labelSelector = `${Label.veleroBackupName}=${labelValue(backupName)}`;
  return { namespace: context.settings.veleroNamespace, labelSelector };
}

/** Tried once: each try that takes effect makes another request. */
async function requestDeletion(context: RunnerContext, backup: VeleroObject): Promise<void> {
  const { name, uid } = backup.metadata;
  const manifest = {
    metadata: {
      generateName: `${name}-`,
      namespace: context.settings.veleroNamespace,
      labels: {
        ...ownershipLabels(backup),
        [Label.veleroBackupName]: labelValue(name),
        [Label.veleroBackupUid]: uid,
      },
    },
    spec: { backupName: name },
  };
  await context.client.create(deleteBackupRequests, manifest, context);
  context.logger.info({ backup: name, backupUid: uid }, "asked Velero to delete the backup");
}

/** Stops the volume data that a run waits for, so that it ends soon. It ends without that, too. */
async function cancelData(context: RunnerContext, backup: VeleroObject): Promise<void> {
  const attempt = async <T>(what: object, step: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      context.signal.throwIfAborted();
      context.logger.warn({ err: error, ...what }, "could not cancel volume data, waiting for it to end");
      return undefined;
    }
  };
  for (const { resource, object } of (await attempt({}, () => movementsOf(retryingBriefly(context), backup))) ?? []) {
    if (object.spec?.cancel === true || isMovementOver(object)) continue;
    const what = { kind: resource.kind, name: object.metadata.name };
    await attempt(what, async () => {
      const patch = { spec: { cancel: true } };
      await retry(() => context.client.mergePatch(resource, object.metadata, patch, context), retryingBriefly(context));
      context.logger.info(what, "cancelled");
    });
  }
}

/** Waits until the object is not as it was read. */
async function changed(
  context: RunnerContext,
  resource: Resource<VeleroObject>,
  { metadata }: VeleroObject,
  signal: AbortSignal,
): Promise<void> {
  const { client, logger, clock } = context;
  const isNew = (now: VeleroObject | undefined) => now?.metadata.resourceVersion !== metadata.resourceVersion;
  await awaitCondition(client, resource, metadata, isNew, { signal, logger, clock });
}

/** Waits for another phase, or for any change after a while: there may be new volume data. */
async function phaseChanged(
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

/** Waits until the object or one of the requests for its deletion is not as it was read. */
async function deletionWentOn(
  context: RunnerContext,
  type: OperationType,
  name: string,
  object: VeleroObject | undefined,
  requests: readonly DeleteBackupRequest[],
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const waits = [
    ...(object === undefined ? [] : [changed(context, veleroResource(type), object, signal)]),
    ...(type === "Backup" ? [requestsChanged(context, name, requests, signal)] : []),
  ];
  try {
    await Promise.race(waits);
  } finally {
    stop.abort();
    await Promise.allSettled(waits);
  }
}

async function requestsChanged(
  context: RunnerContext,
  backupName: string,
  read: readonly DeleteBackupRequest[],
  signal: AbortSignal,
): Promise<void> {
  const { client, logger, clock } = context;
  const versions = new Map(read.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  const seen = new Set<string>();
  const options = { ...deleteRequestSelection(context, backupName), signal, logger, clock };
  for await (const event of watchResource(client, deleteBackupRequests, options)) {
    if (event.type === "deleted") return;
    if (event.type === "synced") {
      // What was read and is not listed any more went in between.
      if ([...versions.keys()].some((name) => !seen.has(name))) return;
      continue;
    }
    const { name, resourceVersion } = event.object.metadata;
    if (event.object.spec?.backupName === backupName && versions.get(name) !== resourceVersion) return;
    seen.add(name);
  }
}
