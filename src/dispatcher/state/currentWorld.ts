import { RIGHTS_POLICY } from "../../api/crossNamespace.ts";
import { Label } from "../../api/labels.ts";
import { attemptOf, type OperationType, SUPPORTED_TYPES } from "../../api/operation.ts";
import { veleroStage } from "../../api/velero.ts";
import type { Clock } from "../../kube/clock.ts";
import { type KubeObject, keyOf } from "../../kube/metadata.ts";
import { veleroLoad } from "../line/veleroLoad.ts";
import type { Settings } from "../settings.ts";
import type { TemplateStore } from "../templates/templateStore.ts";
import type { Caches } from "./caches.ts";
import { attemptTerm, type Indexes } from "./indexes.ts";
import { orphanedJob, orphanedObject } from "./orphanedWork.ts";
import { operationUidOf } from "./owners.ts";
import { rightsPolicySince } from "./protection.ts";
import type { World } from "./world.ts";
import type { WritesInFlight } from "./writesInFlight.ts";

export interface CurrentWorldParts {
  readonly caches: Caches;
  readonly indexes: Indexes;
  readonly writesInFlight: WritesInFlight;
  readonly templates: TemplateStore;
  readonly settings: Settings;
  readonly approvalKey: string | undefined;
  readonly clock: Clock;
  readonly placeOf: World["placeOf"];
}

/** The world as the caches show it now, including the writes in flight. */
export function currentWorld(parts: CurrentWorldParts): World {
  const { caches, indexes, writesInFlight, templates, settings, approvalKey, clock, placeOf } = parts;
  const here = (name: string) => `${settings.jobNamespace}/${name}`;
  const isOrphan = (object: KubeObject) => indexes.operationsByUid.get(operationUidOf(object) ?? "").length === 0;
  const load: World["veleroLoad"] = (type) =>
    veleroLoad(
      indexes.velerosWork.get(type).map((object) => ({
        name: object.metadata.name,
        phase: object.status?.phase,
        isOurs: !isOrphan(object),
      })),
    );
  const idleSince = idleTimes(caches, load, clock);
  return {
    settings,
    approvalKey,
    get now() {
      return clock.now();
    },
    get rightsPolicySince() {
      return rightsPolicySince(caches.rightsPolicy.get(RIGHTS_POLICY), caches.rightsBinding.get(RIGHTS_POLICY));
    },
    get templates() {
      return templates.current;
    },
    placeOf,
    veleroLoad: load,
    veleroIdleSince: (type) => idleSince[type],
    operation: (uid) => {
      const [found] = indexes.operationsByUid.get(uid);
      return found && writesInFlight.current(found);
    },
    target: (namespace, name) => caches.targets.get(`${namespace}/${name}`),
    namespace: (name) => caches.namespaces.get(name),
    snapshotClass: (name) => caches.snapshotClasses.get(name),
    storageLocation: (name) => caches.locations.get(`${settings.veleroNamespace}/${name}`),
    job: (name) => caches.jobs.get(here(name)),
    jobsOf: (operation) => [
      ...indexes.jobsByOwner.get(operation.metadata.uid),
      ...indexes.jobsByOwner.get(keyOf(operation)),
    ],
    podsOf: (job) => indexes.podsByJobUid.get(job.metadata.uid),
    refusalsOf: (job) => indexes.refusalsByJobUid.get(job.metadata.uid),
    podEventsOf: (pod) => indexes.eventsByPodUid.get(pod.metadata.uid),
    defaultStorageLocation: () => {
      for (const location of caches.locations.values()) if (location.spec?.default === true) return location;
      return undefined;
    },
    veleroObject: (operation) => {
      const uid = operation.status?.engineRef?.uid;
      if (uid !== undefined) return indexes.veleroByUid.get(uid)[0];
      return indexes.veleroByAttempt.get(attemptTerm(operation.metadata.uid, attemptOf(operation)))[0];
    },
    veleroObjectsOf: (job) =>
      indexes.veleroByAttempt.get(attemptTerm(operationUidOf(job), job.metadata.labels?.[Label.attempt])),
    orphanedWork: (namespace) => [
      ...indexes.busyVelero.get(namespace).filter(isOrphan).map(orphanedObject),
      ...indexes.busyJobs.get(namespace).filter(isOrphan).map(orphanedJob),
    ],
  };
}

/** Since when Velero has worked on nothing, by type; kept up to date. Undefined while it works. */
function idleTimes(
  { veleroObjects, otherVeleroObjects }: Caches,
  load: World["veleroLoad"],
  clock: Clock,
): Readonly<Record<OperationType, Date | undefined>> {
  const idleSince: Record<OperationType, Date | undefined> = { Backup: clock.now(), Restore: clock.now() };
  for (const store of [...veleroObjects, ...otherVeleroObjects]) {
    store.onChange((_, current, previous) => {
      if (veleroStage(current?.status?.phase) === veleroStage(previous?.status?.phase)) return;
      for (const type of SUPPORTED_TYPES) {
        idleSince[type] = load(type).atWork > 0 ? undefined : (idleSince[type] ?? clock.now());
      }
    });
  }
  return idleSince;
}
