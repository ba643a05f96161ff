import {
  attemptOf,
  isTerminal,
  isVeleroOperation,
  type Operation,
  type Status,
  type VeleroOperation,
} from "../../../../src/api/operation.ts";
import { isAdmitted, nextStatus, type StatusChange } from "../../../../src/api/status.ts";
import { isVeleroTerminal } from "../../../../src/api/velero.ts";
import type { Entrant } from "../../../../src/dispatcher/line/entrant.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import type { Action } from "../../../../src/dispatcher/state/world.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { signClaim } from "../../dispatcher/approvalClaims.ts";
import { condition } from "../../dispatcher/clusterObjects.ts";
import { Cluster } from "../../dispatcher/fakeCluster.ts";
import { referencePlaces } from "../../dispatcher/line/referenceLine.ts";
import type { DecisionEvent } from "./decisionEvents.ts";

/** Of an approval, in seconds; histories are about as long. */
const APPROVAL = 100;

/** Whom it makes sense to do something to; histories are too short to waste them. */
const CONCERNED: Record<string, (operation: VeleroOperation) => boolean> = {
  rerun: ({ status }) => status?.phase === "Failed",
  cancel: ({ status }) => !isTerminal(status?.phase),
  uncancel: ({ metadata }) => metadata.annotations?.["ops.vworkspace.io/cancel"] !== undefined,
  approve: ({ spec }) => spec.approvals?.required === true,
};

/**
 * A fake cluster to which random events are applied: users, runners and Velero act, and the dispatcher decides in any
 * order, also upon an Operation as it was before. It remembers nothing between two decisions. Every step is checked for
 * what must never happen.
 */
export class DecisionHistory extends Cluster {
  readonly limits: { maxConcurrent: number; maxConcurrentPerNamespace: number };
  /** Every Job name that was made, by Operation and attempt. */
  readonly #jobNames = new Map<string, string>();
  /** The Jobs that people made, by uid. */
  readonly #copies = new Set<string>();
  #tokens = 0;
  #judged: WeakMap<Operation, Entrant | undefined> = new WeakMap();
  #old = new Map<string, VeleroOperation>();

  constructor(limits: { maxConcurrent: number; maxConcurrentPerNamespace: number }) {
    super();
    this.limits = limits;
    this.settings = settingsSchema.parse({ limits });
  }

  /** As the dispatcher does it: forgotten with every change around the Operations. */
  protected override get judged(): WeakMap<Operation, Entrant | undefined> {
    return this.#judged;
  }

  override target(...change: Parameters<Cluster["target"]>): void {
    super.target(...change);
    this.#judged = new WeakMap();
  }

  override breakTemplates(): void {
    super.breakTemplates();
    this.#judged = new WeakMap();
  }

  override mendTemplates(): void {
    super.mendTemplates();
    this.#judged = new WeakMap();
  }

  all(): VeleroOperation[] {
    return [...this.operations.values()].filter(isVeleroOperation);
  }

  apply(event: DecisionEvent): void {
    switch (event.kind) {
      case "create": {
        const { namespace, restore, second, approval } = event;
        this.add({
          namespace: `org-${namespace}`,
          type: restore ? "Restore" : "Backup",
          creationTimestamp: `2026-11-22T10:00:0${second}Z`,
          ...(approval && { approvals: { required: true } }),
        });
        return;
      }
      case "target":
        this.target(`org-${event.namespace}`, {
          ready: [condition("Ready", event.ready ? "True" : "False", "Any")],
        });
        return;
      case "template":
        if (event.broken) this.breakTemplates();
        else this.mendTemplates();
        return;
      case "time":
        this.now = new Date(this.now.getTime() + event.seconds * 1000);
        return;
      case "runner":
      case "crash":
      case "removeJob":
        this.#withJob(event.kind, pick([...this.jobs.values()].filter(isUnfinished), event.which));
        return;
      case "copyJob":
      case "replaceJob": {
        const job = pick([...this.jobs.values()], event.which);
        const name = event.kind === "replaceJob" ? job?.metadata.name : undefined;
        if (job !== undefined) this.#copies.add(this.copyJob(job, name).metadata.uid);
        return;
      }
      case "velero": {
        const object = pick(
          [...this.veleroObjects.values()].filter(({ status }) => !isVeleroTerminal(status?.phase)),
          event.which,
        );
        if (object !== undefined) this.setVeleroPhase(object, event.phase);
        return;
      }
      default: {
        const { kind } = event;
        const operation = pick(this.all().filter(CONCERNED[kind] ?? (() => true)), event.which);
        if (operation !== undefined) this.#withOperation(kind, operation);
      }
    }
  }

  /** Lets everything that can run run, and everybody who is asked say yes. */
  calmDown(): void {
    this.mendTemplates();
    for (const namespace of [0, 1, 2]) this.target(`org-${namespace}`);
    for (const operation of this.all())
      if (operation.spec.approvals?.required) this.#withOperation("approve", operation);
  }

  /** Decides on everybody until nobody has anything to do. */
  settleAll(): void {
    for (let rounds = 0; ; rounds += 1) {
      if (rounds > 20) throw new Error("the dispatcher does not come to rest");
      const before = this.operations.size + this.jobs.size;
      let idle = true;
      for (const operation of this.all()) idle = this.act(operation) === undefined && idle;
      if (idle && before === this.operations.size + this.jobs.size) return;
    }
  }

  /** Lets the runners and Velero take one step each. */
  work(): void {
    for (const job of [...this.jobs.values()].filter(isUnfinished)) this.#withJob("runner", job);
    for (const object of this.veleroObjects.values()) {
      if (!isVeleroTerminal(object.status?.phase)) this.setVeleroPhase(object, "Completed");
    }
  }

  /** One decision and its action; what must not be done is found out here. */
  act(operation: VeleroOperation, seen: VeleroOperation = this.current(operation)): Action | undefined {
    const { action } = this.decide(seen);
    if (action === undefined) return undefined;
    const now = this.current(operation);
    if (action.kind === "writeStatus") {
      // The API server refuses a write that was decided upon an older version.
      if (seen.metadata.resourceVersion !== now.metadata.resourceVersion) return action;
      const reopened = isTerminal(now.status?.phase) && !isTerminal(action.status.phase);
      if (reopened) this.#checkRerun(now, action.status);
      const cancelled = action.status.conditions?.some(({ type, status }) => type === "Cancelled" && status === "True");
      if (cancelled && now.status?.runner?.jobUIDs !== undefined && !isTerminal(now.status.phase)) {
        throw new Error("cancelled over the head of a runner that has begun");
      }
      if (isAdmitted(action.status) && !isAdmitted(now.status) && !reopened) this.#checkOrder(now);
    }
    if (action.kind === "createJob") {
      const attempt = `${operation.metadata.uid}/${attemptOf(seen)}`;
      const known = this.#jobNames.get(attempt) ?? action.name;
      if (known !== action.name) throw new Error(`a second Job name for ${attempt}: ${known}, ${action.name}`);
      this.#jobNames.set(attempt, known);
    }
    this.carryOut(operation, action);
    return action;
  }

  check(): void {
    const underWay = this.all().filter((operation) => this.#isUnderWay(operation) && !this.#onlyCleansUp(operation));
    if (underWay.length > this.limits.maxConcurrent) throw new Error(`${underWay.length} under way at once`);
    for (const namespace of new Set(underWay.map(({ metadata }) => metadata.namespace))) {
      const here = underWay.filter(({ metadata }) => metadata.namespace === namespace);
      if (here.length > this.limits.maxConcurrentPerNamespace)
        throw new Error(`${here.length} at once in ${namespace}`);
      if (here.length > 1 && here.some(({ spec }) => spec.type === "Restore"))
        throw new Error(`conflict in ${namespace}`);
    }
  }

  #checkRerun(now: VeleroOperation, next: Status): void {
    const cancel = now.metadata.annotations?.["ops.vworkspace.io/cancel"] === "true";
    const sameAttempt = next.runner?.attempt === attemptOf(now);
    const forCancel = sameAttempt && (isCancelDecided(now) || (cancel && this.#isUnderWay(now)));
    const asked = next.observedRerun !== now.status?.observedRerun || this.#isAskedByJob(now);
    if (now.status?.phase !== "Failed" || !(asked || forCancel)) {
      throw new Error("a terminal phase was left without anybody asking for it");
    }
    if (cancel && !forCancel) throw new Error("re-run though it is cancelled");
    if (!sameAttempt && this.#isUnderWay(now)) throw new Error("a new attempt while Velero is at work on the last one");
    const old = this.jobs.get(now.status.runner?.jobName ?? "");
    const gaveUp = old !== undefined && !isUnfinished(old) && !this.#copies.has(old.metadata.uid);
    if (sameAttempt && gaveUp) throw new Error("resumed beside the Job that gave up");
  }

  /** Each Job that people make asks once. */
  #isAskedByJob(operation: VeleroOperation): boolean {
    const { runner, history = [] } = operation.status ?? {};
    const past = history.flatMap(({ jobUIDs = [] }) => jobUIDs);
    const known = [...(runner?.jobUIDs ?? []), ...(runner?.requestedBy ?? []), ...past];
    return this.jobsOf(operation).some(({ metadata: { uid } }) => this.#copies.has(uid) && !known.includes(uid));
  }

  /** Told independently of the dispatcher: it was its turn, and nobody was overtaken. */
  #checkOrder(admitted: VeleroOperation): void {
    const waiting = this.all().filter((one) => one.metadata.uid === admitted.metadata.uid || this.#couldRun(one));
    const underWay = this.all().filter((one) => this.#isUnderWay(one));
    const namespaces = new Set(this.all().map(({ metadata }) => metadata.namespace));
    const admittedAt = (name: string) =>
      this.all().flatMap(({ metadata: { namespace }, status }) =>
        namespace === name && status?.startedAt !== undefined ? [Date.parse(status.startedAt)] : [],
      );
    const place = referencePlaces({
      entrants: [
        ...waiting.map((one) => entrant(one, { state: "waiting", inVelero: false })),
        ...underWay.map((one) => entrant(one, { state: "underWay", inVelero: this.#isInVelero(one) })),
      ],
      limits: this.limits,
      capacity: { Backup: this.concurrentBackups, nextBackups: 1, Restore: 2 },
      left: new Map([...namespaces].map((name) => [name, this.orphanedWork(name)])),
      turns: new Map([...namespaces].map((name) => [name, Math.max(0, ...admittedAt(name))])),
    }).get(admitted.metadata.uid);
    if (place?.kind !== "free") throw new Error(`${age(admitted)} is admitted out of turn: ${JSON.stringify(place)}`);
  }

  /** A runner that is in trouble has no object made soon; all others have, or will. */
  #isInVelero({ status }: VeleroOperation): boolean {
    const uid = status?.engineRef?.uid;
    if (uid === undefined) return status?.runner?.troubleSince === undefined;
    const object = this.veleroObjects.get(uid);
    return object === undefined || object.status?.phase === "InProgress";
  }

  #isUnderWay({ status }: VeleroOperation): boolean {
    if (!isTerminal(status?.phase)) return isAdmitted(status);
    const gaveUp = status?.conditions?.some(({ type, reason }) => type === "Failed" && reason === "RunnerFailed");
    const phase = this.veleroObjects.get(status?.engineRef?.uid ?? "")?.status?.phase;
    return gaveUp === true && phase === "InProgress";
  }

  /** A cancel goes on to its end after Velero is done, whoever has the slot by then. */
  #onlyCleansUp(operation: VeleroOperation): boolean {
    const phase = this.veleroObjects.get(operation.status?.engineRef?.uid ?? "")?.status?.phase;
    return isCancelDecided(operation) && phase !== "InProgress";
  }

  #couldRun({ metadata, spec, status }: VeleroOperation): boolean {
    if (isTerminal(status?.phase) || isAdmitted(status) || !this.templates.Backup.ok) return false;
    if (metadata.annotations?.["ops.vworkspace.io/cancel"] === "true") return false;
    if (spec.approvals?.required && !((this.#approvedUntil.get(metadata.uid) ?? 0) >= this.now.getTime())) return false;
    const ready = this.targets.get(`${metadata.namespace}/shop`)?.status?.conditions?.[0]?.status === "True";
    return spec.type === "Restore" || ready;
  }

  readonly #approvedUntil = new Map<string, number>();

  #withOperation(kind: string, operation: VeleroOperation): void {
    const { uid, name } = operation.metadata;
    switch (kind) {
      case "decide":
        this.act(operation);
        this.#old.set(uid, operation);
        return;
      case "decideOnOldVersion":
        this.act(operation, this.#old.get(uid) ?? operation);
        return;
      case "approve": {
        const until = Math.floor(this.now.getTime() / 1000) + APPROVAL;
        this.#approvedUntil.set(uid, until * 1000);
        if (operation.spec.approvals?.required) this.approve(operation, signClaim({ op: name, exp: until }));
        return;
      }
      case "cancel":
        this.annotate(operation, { "ops.vworkspace.io/cancel": "true" });
        return;
      case "uncancel":
        this.annotate(operation, { "ops.vworkspace.io/cancel": undefined });
        return;
      case "rerun":
        this.#tokens += 1;
        this.annotate(operation, { "ops.vworkspace.io/rerun": `token-${this.#tokens}` });
        return;
      case "remove":
        this.operations.delete(`${operation.metadata.namespace}/${name}`);
    }
  }

  #withJob(kind: "runner" | "crash" | "removeJob", job: Job | undefined): void {
    if (job === undefined) return;
    if (kind === "removeJob") this.jobs.delete(job.metadata.name);
    else if (kind === "crash") this.endJob(job, "Failed");
    else this.#run(job);
  }

  /** One step of a runner, as docs/contract.md#runner, has it. */
  #run(job: Job): void {
    const uid = job.metadata.labels?.["ops.vworkspace.io/operation"];
    const operation = this.all().find(({ metadata }) => metadata.uid === uid);
    const { runner, history = [], phase: stands } = operation?.status ?? {};
    const { uid: own } = job.metadata;
    const isKnown = [...(runner?.jobUIDs ?? []), ...(runner?.requestedBy ?? [])].includes(own);
    const isPast = !isKnown && history.some(({ jobUIDs = [] }) => jobUIDs.includes(own));
    const mayAsk = stands === "Failed" && operation?.metadata.annotations?.["ops.vworkspace.io/cancel"] !== "true";
    // Whoever asks, or comes too late, waits until the dispatcher has said which it is.
    if (mayAsk && !isKnown && !isPast) return;
    if (operation === undefined || isTerminal(stands) || isPast) {
      this.endJob(job, "Complete");
      return;
    }
    if (!isAdmitted(operation.status) && this.#copies.has(own)) {
      if (!runner?.requestedBy?.length) this.endJob(job, "Failed");
      return;
    }
    if (!isAdmitted(operation.status)) throw new Error(`${age(operation)} has a Job at work and is not admitted`);
    const object = this.veleroObjects.get(operation.status?.engineRef?.uid ?? "");
    const phase = object?.status?.phase;
    if (!operation.status?.runner?.jobUIDs?.includes(job.metadata.uid)) {
      this.join(operation, job);
    } else if (isCancelDecided(operation) || operation.metadata.annotations?.["ops.vworkspace.io/cancel"] === "true") {
      if (object !== undefined) this.veleroObjects.delete(object.metadata.uid);
      this.#end(operation, job, "Failed", "Cancelled");
    } else if (operation.status.engineRef === undefined) {
      this.veleroObject(operation, "InProgress", `object-of-${operation.metadata.uid}`);
      this.#writeStatus(operation, { phase: "Running" });
    } else if (phase === "Completed") {
      this.#end(operation, job, "Succeeded", "Succeeded");
    } else if (phase !== "InProgress") {
      this.#end(operation, job, "Failed", "Failed");
    }
  }

  #end(
    operation: VeleroOperation,
    job: Job,
    phase: "Succeeded" | "Failed",
    type: "Succeeded" | "Failed" | "Cancelled",
  ): void {
    this.#writeStatus(operation, {
      phase,
      conditions: [{ type, status: "True", reason: "Told", message: "by its runner" }],
    });
    this.endJob(job, phase === "Failed" ? "Failed" : "Complete");
  }

  #writeStatus(operation: VeleroOperation, change: StatusChange): void {
    this.setStatus(operation, nextStatus(this.status(operation), change, { now: this.now, generation: 1 }));
  }
}

export function isUnfinished({ status }: Job): boolean {
  return status?.conditions === undefined;
}

function age({ metadata }: VeleroOperation): string {
  return `${metadata.creationTimestamp}/${metadata.uid}`;
}

/** Somebody has seen that it is to end: no way back. */
function isCancelDecided({ status }: VeleroOperation): boolean {
  return status?.conditions?.some(({ type, status }) => type === "Cancelled" && status === "Unknown") === true;
}

function entrant({ metadata, spec }: VeleroOperation, stands: Pick<Entrant, "state" | "inVelero">): Entrant {
  const { uid, namespace, name, creationTimestamp } = metadata;
  return { uid, namespace, name, type: spec.type, creationTimestamp, ...stands };
}

function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % from.length];
}
