import type { Logger } from "pino";
import type { ApplicationInstance } from "../../api/applicationInstance.ts";
import { RIGHTS_POLICY } from "../../api/crossNamespace.ts";
import { Label, MANAGED_BY } from "../../api/labels.ts";
import { type Operation, operations } from "../../api/operation.ts";
import {
  backups,
  restores,
  type StorageLocation,
  storageLocations,
  VELERO_DEPLOYMENT,
  type VeleroObject,
} from "../../api/velero.ts";
import { ResourceCache } from "../../kube/cache.ts";
import type { KubeClient, Selection } from "../../kube/client.ts";
import type { Clock } from "../../kube/clock.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { qualifiedName, type Resource } from "../../kube/resource.ts";
import {
  type ConfigMap,
  type CustomResourceDefinition,
  configMaps,
  customResourceDefinitions,
  type Deployment,
  deployments,
  type Event,
  events,
  type Job,
  namespaces,
  type Pod,
  pods,
  type ValidatingAdmissionPolicyBinding,
  type VolumeSnapshotClass,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  volumeSnapshotClasses,
} from "../../kube/resources.ts";
import { JoinedStore, type Store } from "../../kube/stores.ts";
import { MAX_SILENCE_MS } from "../../kube/watch.ts";
import type { Settings } from "../settings.ts";
import { TEMPLATES_CONFIG_MAP } from "../templates/parseTemplates.ts";
import { trimmed, trimmedJobs, trimmedOperations, trimmedTargets, trimmedToPhase } from "./trim.ts";

/** Everything that the dispatcher watches, reduced to what it reads (trim.ts). It reads in no other way. */
export interface Caches {
  readonly operations: Store<Operation>;
  readonly targets: Store<ApplicationInstance>;
  readonly jobs: Store<Job> & Pick<ResourceCache<Job>, "onRelist">;
  readonly pods: Store<Pod>;
  /** Events about pods that the API server refused to a Job: nothing else reports them. */
  readonly refusals: Store<Event>;
  /** Warnings about pods: why no container of one can be started. */
  readonly podEvents: Store<Event>;
  readonly templates: Store<ConfigMap>;
  readonly locations: Store<StorageLocation>;
  /** Backups and Restores that carry our managed-by label. */
  readonly veleroObjects: readonly Store<VeleroObject>[];
  /** All other Backups and Restores, by name and phase alone: Velero works on them, too. */
  readonly otherVeleroObjects: readonly Store<VeleroObject>[];
  /** Velero's Deployment, which says how much its server does at once; empty where the settings say it, or nobody may read it. */
  readonly veleroServer: Store<Deployment>;
  readonly snapshotClasses: Store<VolumeSnapshotClass>;
  /** Empty unless the setting namespaceGateLabel is set. */
  readonly namespaces: Store<KubeObject>;
  /** The policy that checks the right of whoever restores from another namespace, and its binding. */
  readonly rightsPolicy: Store<KubeObject>;
  readonly rightsBinding: Store<ValidatingAdmissionPolicyBinding>;
  /** The CRD of Operations, with the rules that it has in this cluster. */
  readonly operationCrd: Store<CustomResourceDefinition>;
  /** Resolves once all caches show what existed at the start. */
  readonly synced: Promise<unknown>;
  /** Keeps the caches up to date until the signal aborts. Rejects only with the signal's reason. */
  run(signal: AbortSignal): Promise<unknown>;
  /** Calls the listener each time a watch has failed and is begun again, with the resource. */
  onWatchRestart(listener: (resource: string) => void): void;
  /** The kinds whose watch has been silent for so long that the cache may be out of date. */
  stale(): string[];
}

/** Opens all caches; none runs yet. In tenants' namespaces they read only those that the settings name. */
export function openCaches(
  client: KubeClient,
  settings: Settings,
  { clock, logger }: { clock: Clock; logger: Logger },
): Caches {
  const restartListeners = new Set<(resource: string) => void>();
  const opened: { name: string; cache: Pick<ResourceCache<KubeObject>, "synced" | "lastContact" | "run"> }[] = [];
  const open = <T extends KubeObject>(resource: Resource<T>, selection: Selection, absentIsEmpty = false) => {
    const onRestart = () => {
      for (const listener of restartListeners) listener(qualifiedName(resource));
    };
    const cache = new ResourceCache(client, resource, { ...selection, clock, logger, absentIsEmpty, onRestart });
    opened.push({ name: qualifiedName(resource), cache });
    return cache;
  };
  const scopes = settings.namespaces.length === 0 ? [{}] : settings.namespaces.map((namespace) => ({ namespace }));
  const ofTenants = <T extends KubeObject>(resource: Resource<T>, absentIsEmpty = false) =>
    new JoinedStore(scopes.map((scope) => open(resource, scope, absentIsEmpty)));
  const here = { namespace: settings.jobNamespace };
  const ofVelero = { namespace: settings.veleroNamespace };
  const made = { ...ofVelero, labelSelector: `${Label.managedBy}=${MANAGED_BY}` };

  const others = { ...ofVelero, labelSelector: `${Label.managedBy}!=${MANAGED_BY}` };
  // Nobody waits for it, and nothing is stale without it: the right to read it may be missing.
  const server = new ResourceCache(client, trimmed(deployments), {
    ...ofVelero,
    fieldSelector: `metadata.name=${VELERO_DEPLOYMENT}`,
    clock,
    logger,
  });

  return {
    operations: ofTenants(trimmedOperations),
    targets: ofTenants(trimmedTargets, true),
    jobs: open(trimmedJobs, here),
    pods: open(trimmed(pods), { ...here, labelSelector: Label.jobUid }),
    refusals: open(trimmed(events), { ...here, fieldSelector: "involvedObject.kind=Job,reason=FailedCreate" }),
    podEvents: open(trimmed(events), { ...here, fieldSelector: "involvedObject.kind=Pod,type=Warning" }),
    templates: open(trimmed(configMaps), { ...here, fieldSelector: `metadata.name=${TEMPLATES_CONFIG_MAP}` }),
    locations: open(trimmed(storageLocations), ofVelero),
    veleroObjects: [open<VeleroObject>(trimmed(backups), made), open<VeleroObject>(trimmed(restores), made)],
    otherVeleroObjects: [open(trimmedToPhase(backups), others), open(trimmedToPhase(restores), others)],
    veleroServer: settings.limits.concurrentBackups > 0 ? new JoinedStore<Deployment>([]) : server,
    snapshotClasses: open(trimmed(volumeSnapshotClasses), {}, true),
    namespaces: settings.namespaceGateLabel === "" ? new JoinedStore<KubeObject>([]) : open(trimmed(namespaces), {}),
    rightsPolicy: open(trimmed(validatingAdmissionPolicies), { fieldSelector: `metadata.name=${RIGHTS_POLICY}` }),
    rightsBinding: open(trimmed(validatingAdmissionPolicyBindings), {
      fieldSelector: `metadata.name=${RIGHTS_POLICY}`,
    }),
    operationCrd: open(customResourceDefinitions, { fieldSelector: `metadata.name=${qualifiedName(operations)}` }),
    synced: Promise.all(opened.map(({ cache }) => cache.synced)),
    run: (signal) => {
      const servers = settings.limits.concurrentBackups > 0 ? [] : [server];
      return Promise.all([...opened.map(({ cache }) => cache), ...servers].map((cache) => cache.run(signal)));
    },
    onWatchRestart: (listener) => void restartListeners.add(listener),
    stale: () => {
      const oldest = clock.monotonic() - MAX_SILENCE_MS;
      return opened.flatMap(({ name, cache }) => ((cache.lastContact ?? oldest - 1) < oldest ? [name] : []));
    },
  };
}
