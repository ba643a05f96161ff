import { isDeepStrictEqual } from "node:util";
import { isPaused } from "../api/applicationInstance.ts";
import { isCrossNamespace } from "../api/crossNamespace.ts";
import { Label } from "../api/labels.ts";
import { isVeleroOperation, type VeleroOperation } from "../api/operation.ts";
import { isAdmitted } from "../api/status.ts";
import { isAtWork, type StorageLocation, veleroStage } from "../api/velero.ts";
import { keyOf } from "../kube/metadata.ts";
import type { Job, Pod } from "../kube/resources.ts";
import type { LiveLine } from "./liveLine.ts";
import type { Caches } from "./state/caches.ts";
import type { Indexes } from "./state/indexes.ts";
import { isWaiting, whatOthersSee } from "./state/operationState.ts";
import { jobNamespaces, veleroNamespaces } from "./state/orphanedWork.ts";
import { operationUidOf, ownersOf } from "./state/owners.ts";
import type { TemplateStore } from "./templates/templateStore.ts";

export interface TriggerParts {
  readonly caches: Caches;
  readonly indexes: Indexes;
  readonly templates: TemplateStore;
  /** What everybody's place follows from. */
  readonly line: Pick<LiveLine, "note" | "poke" | "touch" | "touchNamespace">;
  /** Asks for a decision on an Operation, `namespace/name`. */
  readonly decide: (key: string) => void;
  /** Asks for a decision on a Job, by name, whose Operation does not exist. */
  readonly wakeOrphan: (jobName: string) => void;
  /** Asks for a decision on a target that the dispatcher has paused, `namespace/name`. */
  readonly wakeTarget: (key: string) => void;
}

/**
 * Connects every change with the Operations that it may concern. Nothing else moves an Operation on: the dispatcher does not poll.
 * docs/contract.md#admission.
 */
export function connectTriggers(parts: TriggerParts): void {
  const wakers = wakersOf(parts);
  onOperations(parts, wakers);
  onJobsAndPods(parts, wakers);
  onVeleroObjects(parts, wakers);
  onTargets(parts, wakers);
  onWhatChecksRead(parts, wakers);
}

interface Wakers {
  /** Has an Operation's place in the line judged anew, and a decision made about it. */
  readonly wake: (key: string) => void;
  /** Wakes the waiting Operations that match. */
  readonly wakeWaiting: (matches: (operation: VeleroOperation) => boolean) => void;
  /** Work in a namespace may be over: that of an Operation, or what a deleted Operation has left. */
  readonly wakeNamespace: (namespace: string) => void;
  /** Wakes the Operations that a Job works for; if there are none, asks for a look at the orphan. */
  readonly wakeOwners: (job: Job) => void;
}

function wakersOf({ caches, indexes, line, decide, wakeOrphan, wakeTarget }: TriggerParts): Wakers {
  const wake = (key: string) => {
    line.touch(key);
    decide(key);
  };
  const wakeWaiting = (matches: (operation: VeleroOperation) => boolean) => {
    for (const operation of indexes.openOperations.values()) {
      if (isVeleroOperation(operation) && isWaiting(operation) && matches(operation)) wake(keyOf(operation));
    }
  };
  const wakeNamespace = (namespace: string) => {
    // The Operation that has ended may be the one for which the target is paused.
    for (const target of indexes.pausedTargets.get(namespace)) wakeTarget(keyOf(target));
    line.touchNamespace(namespace);
  };
  const wakeOwners = (job: Job) => {
    const owners = ownersOf(job).flatMap((owner) => [
      ...indexes.operationsByUid.get(owner),
      ...[caches.operations.get(owner)].filter((operation) => operation !== undefined),
    ]);
    for (const { metadata } of owners) {
      wake(keyOf({ metadata }));
      if (metadata.deletionTimestamp !== undefined && metadata.namespace !== undefined)
        wakeNamespace(metadata.namespace);
    }
    if (owners.length > 0 || operationUidOf(job) === undefined) return;
    wakeOrphan(job.metadata.name);
    for (const namespace of jobNamespaces(job)) wakeNamespace(namespace);
  };
  return { wake, wakeWaiting, wakeNamespace, wakeOwners };
}

function onOperations({ caches, indexes, line, decide, wakeOrphan }: TriggerParts, { wakeNamespace }: Wakers): void {
  caches.operations.onChange((key, current, previous) => {
    line.note(key, current, previous);
    if (current !== undefined) decide(key);
    if (previous !== undefined && previous.metadata.uid !== current?.metadata.uid) {
      for (const job of indexes.jobsByOwner.get(previous.metadata.uid)) wakeOrphan(job.metadata.name);
    }
    const namespace = (current ?? previous)?.metadata.namespace;
    if (namespace === undefined) return;
    if (current === undefined || whatOthersSee(current) !== whatOthersSee(previous)) wakeNamespace(namespace);
  });
}

function onJobsAndPods({ caches, indexes }: TriggerParts, { wake, wakeOwners }: Wakers): void {
  const wakeOwnersOf = (pod: Pod | undefined) => {
    const { namespace = "", labels } = pod?.metadata ?? {};
    const job = caches.jobs.get(`${namespace}/${labels?.[Label.jobName]}`);
    if (job !== undefined) wakeOwners(job);
  };
  caches.jobs.onChange((_, current, previous) => {
    for (const job of [previous, current]) if (job !== undefined) wakeOwners(job);
  });
  // A Job that was made and deleted between two lists was never seen here; its Operation still needs one.
  caches.jobs.onRelist(() => {
    for (const operation of indexes.openOperations.values()) if (isAdmitted(operation.status)) wake(keyOf(operation));
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
}

function onVeleroObjects({ caches, indexes, line, decide }: TriggerParts, { wake, wakeNamespace }: Wakers): void {
  for (const store of caches.veleroObjects) {
    store.onChange((_, current, previous) => {
      const object = current ?? previous;
      if (object === undefined) return;
      const owners = indexes.operationsByUid.get(operationUidOf(object) ?? "");
      for (const one of owners.length === 0 ? [current, previous] : []) {
        for (const namespace of one === undefined ? [] : veleroNamespaces(one)) wakeNamespace(namespace);
      }
      for (const operation of owners) {
        wake(keyOf(operation));
        if (!isAtWork(current) && operation.metadata.namespace !== undefined)
          wakeNamespace(operation.metadata.namespace);
      }
    });
  }

  // What Velero begins with, or lets go of, it may begin with others after that.
  for (const store of [...caches.veleroObjects, ...caches.otherVeleroObjects]) {
    store.onChange((_, current, previous) => {
      if (veleroStage(current?.status?.phase) === veleroStage(previous?.status?.phase)) return;
      line.poke();
      for (const object of indexes.velerosWork.get((current ?? previous)?.kind ?? "")) {
        for (const operation of indexes.operationsByUid.get(operationUidOf(object) ?? "")) decide(keyOf(operation));
      }
    });
  }
}

function onTargets({ caches, indexes, wakeTarget }: TriggerParts, { wake }: Wakers): void {
  caches.targets.onChange((key, current) => {
    if (current !== undefined && isPaused(current)) wakeTarget(key);
    // Admitted Operations too: they may have to pause the target.
    for (const operation of indexes.openOperations.get(key.split("/")[0] ?? "")) {
      if (key === `${operation.metadata.namespace}/${operation.spec?.targetRef.name}`) wake(keyOf(operation));
    }
  });
}

/** Whatever the admission checks read beside Operations and targets. */
function onWhatChecksRead({ caches, indexes, templates }: TriggerParts, { wake, wakeWaiting }: Wakers): void {
  caches.snapshotClasses.onChange((name) => wakeWaiting(({ spec }) => spec.parameters?.csiSnapshotClassName === name));
  caches.locations.onChange((_, current, previous) => {
    // Velero writes each location every minute.
    if (isDeepStrictEqual(availability(current), availability(previous))) return;
    const name = (current ?? previous)?.metadata.name;
    wakeWaiting(({ spec }) => [name, undefined].includes(textOf(spec.parameters?.storageLocation)));
  });
  for (const store of [caches.rightsPolicy, caches.rightsBinding]) {
    store.onChange(() => wakeWaiting(isCrossNamespace));
  }
  caches.namespaces.onChange((name) => wakeWaiting(({ metadata }) => metadata.namespace === name));
  // Admitted Operations too: their Job may still have to be made.
  templates.onChange(() => {
    for (const operation of indexes.openOperations.values()) wake(keyOf(operation));
  });
}

function availability(location: StorageLocation | undefined) {
  return (
    location && [location.spec?.accessMode, location.spec?.default, location.status?.phase, location.status?.message]
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
