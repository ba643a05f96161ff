import { type ApplicationInstance, isPaused } from "../../api/applicationInstance.ts";
import { Label } from "../../api/labels.ts";
import type { Operation } from "../../api/operation.ts";
import { type VeleroObject, veleroStage } from "../../api/velero.ts";
import type { Event, Job, Pod } from "../../kube/resources.ts";
import { Index, type Store } from "../../kube/stores.ts";
import type { Caches } from "./caches.ts";
import { isOpen } from "./operationState.ts";
import { jobNamespaces, veleroNamespaces } from "./orphanedWork.ts";
import { operationUidOf, ownersOf } from "./owners.ts";

/** How one object is found by another. */
export interface Indexes {
  readonly operationsByUid: Index<Operation>;
  /** Operations that matter to others, by namespace: those that have not ended, or whose runner gave up while Velero may go on. */
  readonly openOperations: Index<Operation>;
  /** By {@link ownersOf}. */
  readonly jobsByOwner: Index<Job>;
  readonly podsByJobUid: Index<Pod>;
  readonly refusalsByJobUid: Index<Event>;
  readonly eventsByPodUid: Index<Event>;
  readonly veleroByUid: Index<VeleroObject>;
  /** By {@link attemptTerm}. */
  readonly veleroByAttempt: Index<VeleroObject>;
  /** By the namespaces in which they are at work. */
  readonly busyVelero: Index<VeleroObject>;
  readonly busyJobs: Index<Job>;
  /** Everybody's, by kind, as long as they stand in Velero's line or are what it works on. */
  readonly velerosWork: Index<VeleroObject>;
  /** Targets that the dispatcher has paused, by namespace. */
  readonly pausedTargets: Index<ApplicationInstance>;
}

/** One attempt of one Operation, as its Velero object's labels name it. */
export function attemptTerm(operationUid: string | undefined, attempt: string | number | undefined): string {
  return `${operationUid}/${attempt}`;
}

/** Must be called before the caches run, because an index follows its cache from the first object on. */
export function indexCaches(caches: Caches): Indexes {
  // Backups and Restores in one index. A Backup and a Restore of the same name still have different terms.
  const joined = (stores: readonly Store<VeleroObject>[]): Pick<Store<VeleroObject>, "onChange"> => ({
    onChange: (listener) => {
      for (const store of stores) store.onChange(listener);
    },
  });
  const veleroObjects = joined(caches.veleroObjects);
  return {
    operationsByUid: new Index(caches.operations, ({ metadata }) => [metadata.uid]),
    openOperations: new Index(caches.operations, (operation) =>
      isOpen(operation) ? [operation.metadata.namespace ?? ""] : [],
    ),
    jobsByOwner: new Index(caches.jobs, ownersOf),
    podsByJobUid: new Index(caches.pods, ({ metadata }) => {
      const uid = metadata.labels?.[Label.jobUid];
      return uid === undefined ? [] : [uid];
    }),
    refusalsByJobUid: new Index(caches.refusals, aboutUid),
    eventsByPodUid: new Index(caches.podEvents, aboutUid),
    veleroByUid: new Index(veleroObjects, ({ metadata }) => [metadata.uid]),
    veleroByAttempt: new Index(veleroObjects, (object) => [
      attemptTerm(operationUidOf(object), object.metadata.labels?.[Label.attempt]),
    ]),
    busyVelero: new Index(veleroObjects, veleroNamespaces),
    busyJobs: new Index(caches.jobs, jobNamespaces),
    velerosWork: new Index(joined([...caches.veleroObjects, ...caches.otherVeleroObjects]), ({ kind = "", status }) =>
      veleroStage(status?.phase) === "letGo" ? [] : [kind],
    ),
    pausedTargets: new Index(caches.targets, (target) => (isPaused(target) ? [target.metadata.namespace ?? ""] : [])),
  };
}

/** The UID of the object that an Event is about. */
function aboutUid({ involvedObject }: Event): string[] {
  return involvedObject?.uid === undefined ? [] : [involvedObject.uid];
}
