import { isDeepStrictEqual } from "node:util";
import { isPaused } from "../api/applicationInstance.ts";
import { isCrossNamespace } from "../api/crossNamespace.ts";
import { Label } from "../api/labels.ts";
import { isVeleroOperation, type VeleroOperation } from "../api/operation.ts";
import { isAdmitted } from "../api/status.ts";
import { isAtWork, type StorageLocation } from "../api/velero.ts";
import { keyOf } from "../kube/metadata.ts";
import type { Job, Pod } from "../kube/resources.ts";
import type { Caches } from "./state/caches.ts";
import type { Indexes } from "./state/indexes.ts";
import { byAge, isInLine, isQueued, isWaiting, whatOthersSee } from "./state/operationState.ts";
import { jobNamespaces, veleroNamespaces } from "./state/orphanedWork.ts";
import { operationUidOf, ownersOf } from "./state/owners.ts";
import type { TemplateStore } from "./templates/templateStore.ts";

export interface TriggerParts {
  readonly caches: Caches;
  readonly indexes: Indexes;
  readonly templates: TemplateStore;
  /** How many of those in line in one namespace can be next. */
  readonly maxConcurrentPerNamespace: number;
  /** Asks for a decision on an Operation, `namespace/name`. */
  readonly wake: (key: string, options?: { afterMs?: number }) => void;
  /** Asks for a look at a Job, by name, whose Operation is not there. */
  readonly wakeOrphan: (jobName: string) => void;
  /** Asks for a look at a target that carries a pause of the dispatcher's, `namespace/name`. */
  readonly wakeTarget: (key: string) => void;
}

/** Who cannot be next only has its place in line told anew, and that not more often than this. */
const REFRESH_MS = 2_000;

/**
 * Connects what happens with the Operations for which it may change something. This is all that ever moves an Operation
 * on: nothing is looked at just because time has passed. docs/contract.md#admission.
 *
 * @returns to be called when an Operation of that namespace is, after all, not what others were decided upon
 */
export function connectTriggers(parts: TriggerParts): (namespace: string) => void {
  const { caches, indexes, templates, maxConcurrentPerNamespace, wake, wakeOrphan, wakeTarget } = parts;

  const wakeWaiting = (matches: (operation: VeleroOperation) => boolean) => {
    for (const operation of indexes.openOperations.values()) {
      if (isVeleroOperation(operation) && isWaiting(operation) && matches(operation)) wake(keyOf(operation));
    }
  };

  /** Room was made or taken: it matters to the others in line in that namespace, and to all who wait for a slot. */
  const wakePeers = (namespace: string) => {
    // Whoever held the pause may be the one that has ended.
    for (const target of indexes.pausedTargets.get(namespace)) wakeTarget(keyOf(target));
    const line = [...indexes.openOperations.values()].filter(isVeleroOperation).filter(isInLine).sort(byAge);
    const ahead = new Map<string, { count: number; restore: boolean }>();
    for (const operation of line) {
      const { metadata, spec } = operation;
      const before = ahead.get(metadata.namespace) ?? { count: 0, restore: false };
      ahead.set(metadata.namespace, { count: before.count + 1, restore: before.restore || spec.type === "Restore" });
      if (metadata.namespace !== namespace && !isQueued(operation)) continue;
      const canBeNext =
        spec.type === "Restore" ? before.count === 0 : !before.restore && before.count < maxConcurrentPerNamespace;
      wake(keyOf(operation), { afterMs: canBeNext ? 0 : REFRESH_MS });
    }
  };

  const wakeOwners = (job: Job) => {
    const owners = ownersOf(job).flatMap((owner) => [
      ...indexes.operationsByUid.get(owner),
      ...[caches.operations.get(owner)].filter((operation) => operation !== undefined),
    ]);
    for (const { metadata } of owners) {
      wake(keyOf({ metadata }));
      // Nothing more will be written about one that goes: its place is free as soon as its last Job has ended.
      if (metadata.deletionTimestamp !== undefined && metadata.namespace !== undefined) wakePeers(metadata.namespace);
    }
    if (owners.length > 0 || operationUidOf(job) === undefined) return;
    wakeOrphan(job.metadata.name);
    for (const namespace of jobNamespaces(job)) wakePeers(namespace);
  };

  caches.operations.onChange((key, current, previous) => {
    if (current !== undefined) wake(key);
    if (previous !== undefined && previous.metadata.uid !== current?.metadata.uid) {
      for (const job of indexes.jobsByOwner.get(previous.metadata.uid)) wakeOrphan(job.metadata.name);
    }
    const namespace = (current ?? previous)?.metadata.namespace;
    if (namespace === undefined || whatOthersSee(current) === whatOthersSee(previous)) return;
    if (previous !== undefined || isAdmitted(current?.status)) return wakePeers(namespace);
    // A new one makes no room; it only makes the line longer.
    for (const operation of indexes.openOperations.values()) {
      if (isQueued(operation)) wake(keyOf(operation), { afterMs: REFRESH_MS });
    }
  });

  caches.jobs.onChange((_, current, previous) => {
    for (const job of [previous, current]) if (job !== undefined) wakeOwners(job);
  });
  const wakeOwnersOf = (pod: Pod | undefined) => {
    const { namespace = "", labels } = pod?.metadata ?? {};
    const job = caches.jobs.get(`${namespace}/${labels?.[Label.jobName]}`);
    if (job !== undefined) wakeOwners(job);
  };
  // One that was made and deleted again in between was never seen; the next one is still to be made.
  caches.jobs.onRelist(() => {
    for (const operation of indexes.openOperations.values()) wake(keyOf(operation));
  });
  caches.pods.onChange((_, current, previous) => wakeOwnersOf(current ?? previous));
  caches.podEvents.onChange((_, current) => {
    const { namespace = "", name } = current?.involvedObject ?? {};
    wakeOwnersOf(caches.pods.get(`${namespace}/${name}`));
  });

  caches.refusals.onChange((_, current) => {
    const { namespace = "", name } = current?.involvedObject ?? {};
    const job = caches.jobs.get(`${namespace}/${name}`);
    if (job !== undefined) wakeOwners(job);
  });

  for (const store of caches.veleroObjects) {
    store.onChange((_, current, previous) => {
      const object = current ?? previous;
      if (object === undefined) return;
      const owners = indexes.operationsByUid.get(operationUidOf(object) ?? "");
      if (owners.length === 0 && !isAtWork(current)) {
        for (const namespace of previous === undefined ? [] : veleroNamespaces(previous)) wakePeers(namespace);
      }
      for (const operation of owners) {
        wake(keyOf(operation));
        if (!isAtWork(current) && operation.metadata.namespace !== undefined) wakePeers(operation.metadata.namespace);
      }
    });
  }

  caches.targets.onChange((key, current) => {
    if (current !== undefined && isPaused(current)) wakeTarget(key);
    // Also those that are admitted: they may have to pause it.
    for (const operation of indexes.openOperations.get(key.split("/")[0] ?? "")) {
      if (key === `${operation.metadata.namespace}/${operation.spec?.targetRef.name}`) wake(keyOf(operation));
    }
  });
  caches.snapshotClasses.onChange((name) => wakeWaiting(({ spec }) => spec.parameters?.csiSnapshotClassName === name));
  caches.locations.onChange((_, current, previous) => {
    // Velero touches each location every minute.
    if (isDeepStrictEqual(availability(current), availability(previous))) return;
    const name = (current ?? previous)?.metadata.name;
    wakeWaiting(({ spec }) => [name, undefined].includes(textOf(spec.parameters?.storageLocation)));
  });
  for (const store of [caches.rightsPolicy, caches.rightsBinding]) {
    store.onChange(() => wakeWaiting(isCrossNamespace));
  }
  caches.namespaces.onChange((name) => wakeWaiting(({ metadata }) => metadata.namespace === name));
  // Also those that are admitted and whose Job is still to be made.
  templates.onChange(() => {
    for (const operation of indexes.openOperations.values()) wake(keyOf(operation));
  });

  return wakePeers;
}

function availability(location: StorageLocation | undefined) {
  return (
    location && [location.spec?.accessMode, location.spec?.default, location.status?.phase, location.status?.message]
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
