import { type ApplicationInstance, applicationInstanceSchema } from "../../../src/api/applicationInstance.ts";
import { Label } from "../../../src/api/labels.ts";
import {
  attemptOf,
  isVeleroOperation,
  type Operation,
  operationSchema,
  type Status,
  type VeleroOperation,
} from "../../../src/api/operation.ts";
import {
  backupSchema,
  type StorageLocation,
  storageLocationSchema,
  type VeleroObject,
} from "../../../src/api/velero.ts";
import type { OrphanedWork } from "../../../src/dispatcher/line/namespaceLine.ts";
import {
  jobNamespaces,
  orphanedJob,
  orphanedObject,
  veleroNamespaces,
} from "../../../src/dispatcher/state/orphanedWork.ts";
import type { KubeObject, Manifest } from "../../../src/kube/metadata.ts";
import {
  type Event,
  events,
  type Job,
  jobs,
  type Pod,
  pods,
  type VolumeSnapshotClass,
  volumeSnapshotClasses,
} from "../../../src/kube/resources.ts";

export interface OperationChange {
  name?: string;
  namespace?: string;
  uid?: string;
  type?: "Backup" | "Restore";
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  targetRef?: Record<string, unknown>;
  parameters?: Record<string, unknown>;
  approvals?: Record<string, unknown>;
  status?: Status;
}

type Conditions = Record<string, string>[];

/** What is in the API server as far as the dispatcher's decisions see it; tests put it there and change it. */
export class ClusterObjects {
  readonly operations = new Map<string, Operation>();
  readonly namespaces = new Map<string, KubeObject>();
  readonly targets = new Map<string, ApplicationInstance>();
  readonly snapshotClasses = new Map<string, VolumeSnapshotClass>();
  readonly locations = new Map<string, StorageLocation>();
  readonly jobs = new Map<string, Job>();
  readonly pods: Pod[] = [];
  readonly refusals: Event[] = [];
  readonly podEvents: Event[] = [];
  readonly veleroObjects = new Map<string, VeleroObject>();
  #made = 0;

  jobsOf({ metadata }: VeleroOperation): Job[] {
    return [...this.jobs.values()].filter(({ metadata: { labels = {}, annotations = {} } }) =>
      labels[Label.operation] === undefined
        ? annotations.for === metadata.name
        : labels[Label.operation] === metadata.uid,
    );
  }

  /** An Operation that passes every check of its own, but for what is changed. */
  add(change: OperationChange = {}): VeleroOperation {
    const number = this.unique();
    const { name = `op-${number}`, namespace = "org-a", uid = `uid-${String(number).padStart(4, "0")}` } = change;
    const { type = "Backup", labels, annotations, deletionTimestamp, approvals, targetRef, status } = change;
    const { parameters = type === "Restore" ? { backupName: "b1" } : undefined } = change;
    const { creationTimestamp = "2026-11-22T10:00:00Z" } = change;
    if (!this.targets.has(`${namespace}/shop`)) this.target(namespace);
    return this.#store({
      apiVersion: "ops.vworkspace.io/v1alpha1",
      kind: "Operation",
      metadata: {
        name,
        namespace,
        uid,
        resourceVersion: String(number),
        generation: 1,
        creationTimestamp,
        ...(labels && { labels }),
        ...(annotations && { annotations }),
        ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      },
      spec: {
        type,
        engine: "velero",
        targetRef: {
          apiVersion: "apps.vworkspace.io/v1alpha1",
          kind: "ApplicationInstance",
          name: "shop",
          ...targetRef,
        },
        ...(parameters && { parameters }),
        ...(approvals && { approvals }),
      },
      ...(status && { status }),
    });
  }

  target(namespace: string, change: { annotations?: Record<string, string>; spec?: object; ready?: Conditions } = {}) {
    const { annotations = {}, spec, ready = [condition("Ready", "True", "Installed")] } = change;
    const raw = {
      ...this.#object("shop", namespace),
      kind: "ApplicationInstance",
      spec,
      status: { conditions: ready },
    };
    const target = applicationInstanceSchema.parse({ ...raw, metadata: { ...raw.metadata, annotations } });
    this.targets.set(`${namespace}/shop`, target);
  }

  location(name: string, status: object = { phase: "Available" }, spec: object = {}): void {
    this.locations.set(name, storageLocationSchema.parse({ ...this.#object(name, "velero"), status, spec }));
  }

  snapshotClass(name: string, driver = "csi.example.com"): void {
    this.snapshotClasses.set(name, volumeSnapshotClasses.schema.parse({ ...this.#object(name), driver }));
  }

  namespace(name: string, labels: Record<string, string>): void {
    const { metadata, ...rest } = this.#object(name);
    this.namespaces.set(name, { ...rest, metadata: { ...metadata, labels } });
  }

  /** A Job made by hand from the template. */
  handMadeJob(operation: VeleroOperation): Job {
    const name = `by-hand-${this.unique()}`;
    return this.storeJob({ metadata: { name, annotations: { for: operation.metadata.name } }, spec: {} });
  }

  /** A copy of a Job that a person makes, with its labels; under the same name it takes the place of the first. */
  copyJob({ metadata: { labels = {} }, spec }: Job, name = `copy-${this.unique()}`): Job {
    return this.storeJob({ metadata: { name, labels }, spec });
  }

  pod(job: Job, status: object, change: { createdAt?: string } = {}): Pod {
    const raw = this.#object(`${job.metadata.name}-${this.unique()}`);
    const labels = { [Label.jobUid]: job.metadata.uid };
    const { createdAt: creationTimestamp = raw.metadata.creationTimestamp } = change;
    const pod = pods.schema.parse({ ...raw, metadata: { ...raw.metadata, labels, creationTimestamp }, status });
    this.pods.push(pod);
    return pod;
  }

  /** As the API server has a pod after a change by others. */
  changePod(pod: Pod, change: { status?: object; deletionTimestamp?: string }): Pod {
    const { deletionTimestamp, status } = change;
    const metadata = { ...pod.metadata, ...(deletionTimestamp !== undefined && { deletionTimestamp }) };
    const changed = pods.schema.parse({ ...pod, metadata, ...(status && { status }) });
    this.pods.splice(this.pods.indexOf(pod), 1, changed);
    return changed;
  }

  /** The Job controller tells that a Job could not have a pod. */
  refuse(job: Job, message: string, change: { at?: string } = {}): void {
    const { name, namespace, uid } = job.metadata;
    const { at: lastTimestamp = "2026-11-22T11:00:00Z" } = change;
    const involvedObject = { kind: "Job", name, namespace, uid };
    const raw = this.#object(`${name}.${this.unique()}`);
    this.refusals.push(events.schema.parse({ ...raw, reason: "FailedCreate", message, involvedObject, lastTimestamp }));
  }

  /** A kubelet, or another part of Kubernetes, warns of a pod. */
  warn({ metadata: { name, namespace, uid } }: Pod, reason: string, message: string, lastTimestamp: string): void {
    const involvedObject = { kind: "Pod", name, namespace, uid };
    const raw = this.#object(`${name}.${this.unique()}`);
    this.podEvents.push(
      events.schema.parse({ ...raw, reason, message, type: "Warning", involvedObject, lastTimestamp }),
    );
  }

  /** @param change.at when; long ago where it is left out */
  endJob(
    job: Job,
    type: "Complete" | "Failed",
    change: { reason?: string; message?: string; at?: string | undefined } = {},
  ): Job {
    const { reason = type === "Failed" ? "BackoffLimitExceeded" : "CompletionsReached", message = "", at } = change;
    const condition = { type, status: "True", reason, message, ...(at !== undefined && { lastTransitionTime: at }) };
    const ended = { ...job, status: { ...job.status, conditions: [condition] } };
    this.jobs.set(job.metadata.name, ended);
    return ended;
  }

  veleroObject(operation: VeleroOperation, phase: string, name = "velero-object"): VeleroObject {
    const raw = this.#object(name, "velero");
    const labels = { [Label.operation]: operation.metadata.uid, [Label.attempt]: String(attemptOf(operation)) };
    const object = backupSchema.parse({
      ...raw,
      kind: operation.spec.type,
      metadata: { ...raw.metadata, labels },
      spec: { includedNamespaces: [operation.metadata.namespace] },
      status: { phase },
    });
    this.veleroObjects.set(object.metadata.uid, object);
    const { uid } = object.metadata;
    const engineRef = { apiVersion: "velero.io/v1", kind: operation.spec.type, namespace: "velero", name, uid };
    this.setStatus(operation, { ...this.current(operation).status, engineRef });
    return object;
  }

  orphanedWork(namespace: string): OrphanedWork[] {
    const known = new Set([...this.operations.values()].map(({ metadata }) => metadata.uid));
    const isOrphan = ({ metadata }: KubeObject) => !known.has(metadata.labels?.[Label.operation] ?? "");
    const objects = [...this.veleroObjects.values()].filter((one) => veleroNamespaces(one).includes(namespace));
    const jobs = [...this.jobs.values()].filter((one) => jobNamespaces(one).includes(namespace));
    return [...objects.filter(isOrphan).map(orphanedObject), ...jobs.filter(isOrphan).map(orphanedJob)];
  }

  protected veleroObjectsOf({ metadata: { labels } }: Job): VeleroObject[] {
    return [...this.veleroObjects.values()].filter(({ metadata }) =>
      [Label.operation, Label.attempt].every((label) => metadata.labels?.[label] === labels?.[label]),
    );
  }

  setVeleroPhase({ metadata: { uid } }: VeleroObject, phase: string, more: object = {}): void {
    const object = this.veleroObjects.get(uid);
    if (object !== undefined) this.veleroObjects.set(uid, { ...object, status: { ...object.status, ...more, phase } });
  }

  current(operation: VeleroOperation): VeleroOperation {
    const current = this.operations.get(keyOf(operation));
    if (current === undefined || !isVeleroOperation(current)) throw new Error(`no ${keyOf(operation)}`);
    return current;
  }

  status(operation: VeleroOperation): Status {
    return this.current(operation).status ?? {};
  }

  setStatus(operation: VeleroOperation, status: Status): VeleroOperation {
    return this.#store({ ...this.current(operation), status });
  }

  annotate(operation: VeleroOperation, annotations: Record<string, string | undefined>): VeleroOperation {
    const current = this.current(operation);
    const merged = { ...current.metadata.annotations, ...annotations };
    return this.#store({ ...current, metadata: { ...current.metadata, annotations: merged } });
  }

  approve(operation: VeleroOperation, claim: string): VeleroOperation {
    const { spec, metadata, ...rest } = this.current(operation);
    const generation = (metadata.generation ?? 0) + 1;
    const approvals = { ...spec.approvals, claim };
    return this.#store({ ...rest, metadata: { ...metadata, generation }, spec: { ...spec, approvals } });
  }

  protected storeJob(manifest: Manifest, manager = "kubectl-create"): Job {
    const { metadata, ...raw } = this.#object(manifest.metadata.name ?? "", "vworkspace-system");
    const managedFields = [{ manager, operation: "Update", time: metadata.creationTimestamp }];
    const job = jobs.schema.parse({
      ...manifest,
      ...raw,
      metadata: { ...metadata, managedFields, ...manifest.metadata },
    });
    this.jobs.set(job.metadata.name, job);
    return job;
  }

  /** As it comes back from the API server: through JSON, and with a resourceVersion of its own. */
  #store(operation: { metadata: object; spec: unknown; [field: string]: unknown }): VeleroOperation {
    const resourceVersion = String(this.unique());
    const raw: unknown = JSON.parse(
      JSON.stringify({ ...operation, metadata: { ...operation.metadata, resourceVersion } }),
    );
    const stored = operationSchema.parse(raw);
    if (!isVeleroOperation(stored)) throw new Error("not an Operation of ours");
    this.operations.set(keyOf(stored), stored);
    return stored;
  }

  #object(name: string, namespace?: string) {
    const unique = this.unique();
    const metadata = {
      name,
      uid: `object-${unique}`,
      resourceVersion: String(unique),
      creationTimestamp: new Date(Date.UTC(2026, 10, 22, 11, 0, unique)).toISOString(),
    };
    return { apiVersion: "v1", kind: "Any", metadata: namespace === undefined ? metadata : { ...metadata, namespace } };
  }

  protected unique(): number {
    this.#made += 1;
    return this.#made;
  }
}

export function condition(type: string, status: string, reason: string, message = ""): Record<string, string> {
  return { type, status, reason, message, lastTransitionTime: "2026-11-22T09:00:00Z" };
}

export function keyOf({ metadata }: Operation): string {
  return `${metadata.namespace}/${metadata.name}`;
}
