import * as z from "zod";
import { applicationInstances } from "../../../../src/api/applicationInstance.ts";
import { Label } from "../../../../src/api/labels.ts";
import { attemptOf, isTerminal, operations } from "../../../../src/api/operation.ts";
import { Reason } from "../../../../src/api/reasons.ts";
import { conditionOf } from "../../../../src/api/status.ts";
import { backups, downloadRequests, isAtWork, isVeleroTerminal } from "../../../../src/api/velero.ts";
import { jobHasEnded } from "../../../../src/kube/jobStatus.ts";
import type { KubeObject } from "../../../../src/kube/metadata.ts";
import {
  configMaps,
  customResourceDefinitions,
  events,
  jobs,
  leases,
  namespaces,
  pods,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  volumeSnapshotClasses,
} from "../../../../src/kube/resources.ts";
import { VELERO_KINDS } from "../../../scenario/veleroKinds.ts";
import { FakeClock } from "../../kube/fakeClock.ts";
import { EventEffects } from "./eventEffects.ts";
import { FakeApiServer, type Write } from "./fakeApiServer.ts";
import { FakeJobs } from "./fakeJobs.ts";
import { FakeVelero, ownerOf } from "./fakeVelero.ts";
import { Invariants } from "./invariants.ts";
import { Processes } from "./processes.ts";
import type { RandomEvent, SystemHistory } from "./randomEvents.ts";
import { install, SOURCE, SYSTEM } from "./users.ts";

const ROUND_MS = 10_000;
const MAX_ROUNDS = 150;

/**
 * The dispatcher's and the runner's own code, each in as many processes as there happen to be, with everything around them
 * faked: API server, Job controller, Velero, object store, time, and users.
 */
export class SimulatedSystem {
  /** Every event and every write that matters, in words. */
  readonly log: string[] = [];
  readonly #clock = new FakeClock();
  readonly #api = new FakeApiServer(this.#clock, RESOURCES, [operations, jobs, pods]);
  readonly #velero = new FakeVelero(this.#api, this.#clock);
  readonly #jobs = new FakeJobs(this.#api, this.#clock, SYSTEM, (env, pod) => this.#processes.startRunner(env, pod));
  readonly #processes: Processes;
  readonly #effects: EventEffects;
  readonly #invariants = new Invariants(this.#velero, (actor) => this.#processes.connections.get(actor));
  /** Operations one of whose Jobs was taken away, or gave up, by uid. */
  readonly #unattended = new Set<string>();
  /** Changes of anything that matters, so far. */
  #moves = 0;

  constructor({ older, latencies }: Pick<SystemHistory, "older" | "latencies">) {
    const [api, clock, velero] = [this.#api, this.#clock, this.#velero];
    this.#processes = new Processes({
      api,
      clock,
      fetcher: velero.fetcher,
      latencies,
      onRunnerKilled: (pod) => this.#jobs.end(pod, "killed"),
      tell: (line) => this.log.push(line),
    });
    this.#effects = new EventEffects({ api, clock, velero, fakeJobs: this.#jobs, processes: this.#processes });
    api.onWrite((write) => this.#record(write));
    install(api);
    velero.older(SOURCE, true);
    if (older !== "none") velero.older("b0", older === "synced");
    this.#processes.startDispatcher();
  }

  async apply([what, which, waitMs]: RandomEvent): Promise<void> {
    this.log.push(`# ${what} (${which}), then ${waitMs} ms`);
    this.#effects.do(what, which);
    await this.#pass(waitMs);
  }

  /** Nothing more goes wrong, and everybody does their part: until nothing moves any more. */
  async comeToRest(): Promise<void> {
    this.log.push("# nothing more happens by itself");
    this.#velero.up = true;
    this.#effects.nothingHeldBack();
    this.#velero.location("Available");
    for (const connection of this.#processes.connections.values()) connection.faults.length = 0;
    for (let round = 0; ; round += 1) {
      const before = this.#moves;
      if (this.#processes.dispatchers().length === 0) this.#processes.startDispatcher();
      this.#effects.allAdvance();
      await this.#pass(ROUND_MS);
      const waiting = this.#api.list(operations).filter(({ status }) => !isTerminal(status?.phase));
      if (waiting.length === 0 && this.#jobs.running.size === 0 && before === this.#moves) break;
      const who = waiting.map((one) => `${one.metadata.name} ${inWords(one)}`).join("; ");
      if (round === MAX_ROUNDS) throw this.#failure(`does not come to rest: ${who || "work goes on"}`);
    }
    this.#checkRest();
    this.#endOfTtl();
    this.#judge();
  }

  /** Ends all processes. */
  close(): void {
    this.#processes.killAll();
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.advance(ms);
    this.#judge();
  }

  #judge(): void {
    const [violation] = this.#invariants.violations;
    if (violation !== undefined) throw this.#failure(violation);
  }

  #failure(what: string): Error {
    return new Error(`${what}\n  ${this.log.join("\n  ")}`);
  }

  #record(write: Write): void {
    const { actor, verb, plural, before, after } = write;
    if (UNTOLD.has(plural)) return;
    this.#moves += 1;
    const object = after ?? before;
    const seconds = (this.#clock.monotonic() / 1000).toFixed(3);
    const now = after === undefined ? "gone" : inWords(after);
    this.log.push(`${seconds} ${actor}: ${verb} ${plural} ${object?.metadata.name} ${now}`);
    const operation = object?.metadata.labels?.[Label.operation];
    const gone = actor === "people" && verb === "delete";
    const taken = plural === jobs.plural && (gone || now.includes("BackoffLimitExceeded"));
    if (taken && operation !== undefined) this.#unattended.add(operation);
    const { length } = this.#invariants.violations;
    this.#invariants.look(write);
    for (const violation of this.#invariants.violations.slice(length)) this.log.push(`^^^^ ${violation}`);
  }

  #checkRest(): void {
    for (const operation of this.#api.list(operations)) {
      const attempt = `${operation.metadata.uid}/${attemptOf(operation)}`;
      const own = this.#effects.objects().filter(({ metadata }) => ownerOf(metadata.labels) === attempt);
      if (own.some(isAtWork) && conditionOf(operation.status, "Failed")?.reason !== Reason.runnerFailed) {
        throw this.#failure(`${operation.metadata.name} has ended and Velero is still at work on it`);
      }
      if (conditionOf(operation.status, "Cancelled")?.status === "True" && own.length > 0) {
        throw this.#failure(`${operation.metadata.name} is cancelled and ${own[0]?.metadata.name} is still there`);
      }
      if (own.length > 1) throw this.#failure(`${operation.metadata.name} has two objects of Velero's`);
    }
    const unfinished = this.#api.list(jobs).find((job) => !jobHasEnded(job));
    if (unfinished !== undefined) throw this.#failure(`a Job never ends: ${unfinished.metadata.name}`);
  }

  /**
   * What is left of our failed backups is collected by name one day: nobody else's files may go with it. That cannot be
   * promised for an Operation that nobody works on any more.
   */
  #endOfTtl(): void {
    for (const object of this.#api.list(backups)) {
      const { name, labels } = object.metadata;
      const uid = labels?.[Label.operation];
      if (uid === undefined || this.#unattended.has(uid) || !isVeleroTerminal(object.status?.phase)) continue;
      this.log.push(`# the ttl of ${name} ends`);
      this.#velero.collect(name);
    }
    const others = this.#velero.destroyed.filter((labels) => ownerOf(labels) === undefined);
    if (others.length > 0) throw this.#failure("the files of an older backup are lost");
  }
}

/** Upkeep that says nothing. */
const UNTOLD: ReadonlySet<string> = new Set([leases.plural, events.plural, downloadRequests.plural]);

const RESOURCES = [
  operations,
  applicationInstances,
  configMaps,
  customResourceDefinitions,
  events,
  jobs,
  leases,
  namespaces,
  pods,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  volumeSnapshotClasses,
  ...VELERO_KINDS,
];

const wordsSchema = z.looseObject({
  phase: z.string().optional(),
  reason: z.string().optional(),
  engineRef: z.looseObject({ name: z.string(), uid: z.string().optional() }).optional(),
  conditions: z.array(z.looseObject({ type: z.string(), reason: z.string().optional() })).optional(),
});

/** Phase, reason and whatever else of the status helps to follow the history. */
function inWords({ kind, status }: KubeObject): string {
  const { phase, reason, engineRef, conditions = [] } = wordsSchema.safeParse(status).data ?? {};
  const made = engineRef && `-> ${engineRef.name} ${engineRef.uid ?? ""}`;
  const ended = kind === jobs.kind ? conditions.map((one) => `${one.type}/${one.reason}`) : [];
  return [phase, reason, made, ...ended].filter((word) => word !== undefined).join(" ");
}
