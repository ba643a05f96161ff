import { readFileSync } from "node:fs";
import { Label } from "../../../src/api/labels.ts";
import {
  attemptOf,
  isTerminal,
  isVeleroOperation,
  type Operation,
  type Status,
  type VeleroOperation,
} from "../../../src/api/operation.ts";
import { HEALTH, isAdmitted } from "../../../src/api/status.ts";
import { entrantOf, waiting } from "../../../src/dispatcher/admission/entrants.ts";
import { decide } from "../../../src/dispatcher/decide.ts";
import type { Entrant } from "../../../src/dispatcher/line/entrant.ts";
import { Line, type Place } from "../../../src/dispatcher/line/line.ts";
import { veleroLoad } from "../../../src/dispatcher/line/veleroLoad.ts";
import { type Settings, settingsSchema } from "../../../src/dispatcher/settings.ts";
import type { Action, World } from "../../../src/dispatcher/state/world.ts";
import { FIELD_MANAGER, type JobTemplates } from "../../../src/dispatcher/templates/buildJob.ts";
import { parseTemplates } from "../../../src/dispatcher/templates/parseTemplates.ts";
import type { ConfigMap, Job } from "../../../src/kube/resources.ts";
import { APPROVAL_KEY } from "./approvalClaims.ts";
import { ClusterObjects, keyOf } from "./clusterObjects.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** The ConfigMap with the templates as they are shipped. */
export const shippedTemplates: ConfigMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "operation-jobs",
    uid: "templates",
    resourceVersion: "1",
    creationTimestamp: "2026-11-01T00:00:00Z",
  },
  data: {
    "backup.yaml": readFileSync("jobs/backup.yaml", "utf8"),
    "restore.yaml": readFileSync("jobs/restore.yaml", "utf8"),
  },
};

const shipped = parseTemplates(shippedTemplates);

/** The API server as far as the dispatcher's decisions see it, and the dispatcher that acts on them. */
export class Cluster extends ClusterObjects {
  now = new Date("2026-11-22T12:00:00Z");
  settings: Settings = settingsSchema.parse({});
  templates: JobTemplates = shipped;
  approvalKey: string | undefined = APPROVAL_KEY;
  /** Since when the policy asks for rights; undefined where there is none. */
  rightsAskedSince: Date | undefined = new Date("2026-11-01T00:00:00Z");

  /** Since when Velero works on nothing; undefined while it does. */
  veleroIdleSince: Date | undefined;
  /** On how many Backups Velero's server works at once. */
  concurrentBackups = 1;

  /** Those that were judged already; a test that never changes what is around Operations behind its back may keep it. */
  protected get judged(): WeakMap<Operation, Entrant | undefined> {
    return new WeakMap();
  }

  /** As a World that lives for one decision. */
  world(): World {
    const world: World = {
      now: this.now,
      settings: this.settings,
      templates: this.templates,
      approvalKey: this.approvalKey,
      rightsPolicySince: this.rightsAskedSince,
      placeOf: (operation) => this.#placeOf(operation, world),
      veleroLoad: (type) => veleroLoad(this.#velerosObjects(type)),
      veleroIdleSince: () => this.veleroIdleSince,
      operation: (uid) => [...this.operations.values()].find(({ metadata }) => metadata.uid === uid),
      target: (namespace, name) => this.targets.get(`${namespace}/${name}`),
      namespace: (name) => this.namespaces.get(name),
      snapshotClass: (name) => this.snapshotClasses.get(name),
      storageLocation: (name) => this.locations.get(name),
      defaultStorageLocation: () => [...this.locations.values()].find(({ spec }) => spec?.default === true),
      job: (name) => this.jobs.get(name),
      jobsOf: (operation) => this.jobsOf(operation),
      podsOf: (job) => this.pods.filter(({ metadata }) => metadata.labels?.[Label.jobUid] === job.metadata.uid),
      refusalsOf: (job) => this.refusals.filter(({ involvedObject }) => involvedObject?.uid === job.metadata.uid),
      podEventsOf: (pod) => this.podEvents.filter(({ involvedObject }) => involvedObject?.uid === pod.metadata.uid),
      veleroObjectsOf: (job) => this.veleroObjectsOf(job),
      orphanedWork: (namespace) => this.orphanedWork(namespace),
      veleroObject: ({ status }) => this.veleroObjects.get(status?.engineRef?.uid ?? ""),
    };
    return world;
  }

  /** As everybody's place follows from who is there, with nothing remembered. */
  #placeOf(self: VeleroOperation, world: World): Place {
    const line = new Line(this.settings.limits, { Backup: this.concurrentBackups, nextBackups: 1, Restore: 2 });
    for (const operation of this.operations.values()) {
      if (!isVeleroOperation(operation)) continue;
      const entrant = operation.metadata.uid === self.metadata.uid ? undefined : this.#judge(operation, world);
      if (entrant !== undefined) line.set(entrant);
      const admittedAt = Date.parse(operation.status?.startedAt ?? "");
      if (!Number.isNaN(admittedAt)) line.served(operation.metadata.namespace, admittedAt);
    }
    for (const namespace of new Set([...this.operations.values()].map(({ metadata }) => metadata.namespace ?? "")))
      line.setOrphanedWork(namespace, world.orphanedWork(namespace));
    line.set(waiting(self));
    return line.place(self.metadata.uid) ?? { kind: "free" };
  }

  #judge(operation: VeleroOperation, world: World): Entrant | undefined {
    const isUnderWay = isTerminal(operation.status?.phase) || isAdmitted(operation.status);
    // An approval ends by the clock alone.
    if (isUnderWay || operation.spec.approvals?.required) return entrantOf(operation, world);
    const known = this.judged;
    if (!known.has(operation)) known.set(operation, entrantOf(operation, world));
    return known.get(operation);
  }

  #velerosObjects(type: "Backup" | "Restore") {
    const known = new Set([...this.operations.values()].map(({ metadata }) => metadata.uid));
    return [...this.veleroObjects.values()]
      .filter(({ kind }) => kind === type)
      .map(({ metadata, status }) => ({
        name: metadata.name,
        phase: status?.phase,
        isOurs: known.has(metadata.labels?.[Label.operation] ?? ""),
      }));
  }

  breakTemplates(): void {
    const problem = "ConfigMap operation-jobs, backup.yaml: not valid YAML";
    this.templates = { Backup: { ok: false, problem }, Restore: { ok: false, problem } };
  }

  mendTemplates(): void {
    this.templates = shipped;
  }

  /** One decision, not carried out. */
  decide(operation: VeleroOperation): ReturnType<typeof decide> {
    return decide(this.current(operation), this.world());
  }

  /** One decision, carried out as the API server would. */
  step(operation: VeleroOperation): Action | undefined {
    const { action } = this.decide(operation);
    if (action !== undefined) this.carryOut(operation, action);
    return action;
  }

  /** Decides until there is nothing left to do for it. */
  settle(operation: VeleroOperation): VeleroOperation {
    for (let steps = 0; this.step(operation) !== undefined; steps += 1) {
      if (steps > 10) throw new Error(`${keyOf(operation)} does not come to rest`);
    }
    return this.current(operation);
  }

  carryOut(operation: VeleroOperation, action: Action): void {
    switch (action.kind) {
      case "writeStatus":
        this.setStatus(operation, action.status);
        return;
      case "announce":
        return;
      case "createJob":
        if (!this.jobs.has(action.name)) this.storeJob(action.manifest, FIELD_MANAGER);
        return;
      case "annotateTarget": {
        const key = `${action.target.namespace}/${action.target.name}`;
        const target = this.targets.get(key);
        if (target?.metadata.resourceVersion !== action.resourceVersion) return;
        const annotations = Object.entries({ ...target.metadata.annotations, ...action.annotations }).filter(
          (entry): entry is [string, string] => entry[1] !== null,
        );
        const resourceVersion = String(this.unique());
        const metadata = { ...target.metadata, resourceVersion, annotations: Object.fromEntries(annotations) };
        this.targets.set(key, { ...target, metadata });
        return;
      }
      case "deleteJob":
        // As manifests/policies/dispatcher-job.yaml has it.
        if (this.jobs.get(action.name)?.metadata.labels?.[Label.operation] === undefined) {
          throw new Error(`the dispatcher may not delete Job ${action.name}`);
        }
        if (this.jobs.get(action.name)?.metadata.uid === action.uid) this.jobs.delete(action.name);
    }
  }

  /** The Job that the dispatcher made for the attempt under way. */
  job(operation: VeleroOperation): Job {
    const attempt = String(attemptOf(this.current(operation)));
    const job = this.jobsOf(operation).find(({ metadata }) => metadata.labels?.[Label.attempt] === attempt);
    if (job === undefined) throw new Error(`${keyOf(operation)} has no Job`);
    return job;
  }

  /** A runner's first write: its Job joins the attempt. */
  join(operation: VeleroOperation, job: Job): void {
    const { runner, ...status } = this.status(operation);
    const jobUIDs = [...(runner?.jobUIDs ?? []), job.metadata.uid];
    this.setStatus(operation, { ...status, runner: { ...runner, jobUIDs } });
  }

  /** What a runner writes into the condition Running when it is at work. */
  runnerWrites(operation: VeleroOperation, value: "True" | "False", reason: string): void {
    const { conditions = [], ...rest } = this.status(operation);
    const written = conditions.map((one) =>
      one.type === "Running" ? { ...one, status: value, reason, message: "by its runner" } : one,
    );
    this.setStatus(operation, { ...rest, conditions: written });
  }

  /** @param time of the day of these tests, such as 12:00:30 */
  setTime(time: string): void {
    this.now = new Date(`2026-11-22T${time}Z`);
  }

  passTime(milliseconds: number): void {
    this.now = new Date(this.now.getTime() + milliseconds);
  }
}

/** The conditions as a person reads them: `Accepted=True/TemplateValidated`. */
export function conditionsOf({ conditions = [] }: Status): string[] {
  return conditions
    .filter(({ type }) => !HEALTH.has(type))
    .map(({ type, status, reason }) => `${type}=${status}/${reason}`);
}

export function messageOf({ conditions = [] }: Status, type: string): string | undefined {
  return conditions.find((one) => one.type === type)?.message;
}
