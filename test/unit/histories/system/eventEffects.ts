import { Annotation } from "../../../../src/api/labels.ts";
import { type Operation, operations } from "../../../../src/api/operation.ts";
import { backups, deleteBackupRequests, restores, type VeleroObject } from "../../../../src/api/velero.ts";
import { jobHasEnded } from "../../../../src/kube/jobStatus.ts";
import { type Job, jobs, pods } from "../../../../src/kube/resources.ts";
import type { FakeClock } from "../../kube/fakeClock.ts";
import type { FakeApiServer } from "./fakeApiServer.ts";
import { FAULTS } from "./fakeConnection.ts";
import type { FakeJobs } from "./fakeJobs.ts";
import { type FakeVelero, LOCATION_REFUSAL, ownerOf, VELERO } from "./fakeVelero.ts";
import type { Processes } from "./processes.ts";
import type { EventKind } from "./randomEvents.ts";
import { annotate, ask, copyJob, makeJob, SOURCE } from "./users.ts";

const PHASES = ["Completed", "PartiallyFailed", "Failed", "InProgress", "Finalizing", "OfTheFuture"];
const LOCATION_STATES = ["Unavailable", "ReadOnly", "Available"] as const;
const ENDS = ["killed", "evicted", "drained"] as const;
const SILENCE_MS = 20_000;
const WATCHED = [operations, jobs, pods, backups, restores].map(({ plural }) => plural);

export interface EventEffectsParts {
  readonly api: FakeApiServer;
  readonly clock: FakeClock;
  readonly velero: FakeVelero;
  readonly fakeJobs: FakeJobs;
  readonly processes: Processes;
}

/** How everything that may happen is done. */
export class EventEffects {
  readonly #parts: EventEffectsParts;
  #tokens = 0;

  constructor(parts: EventEffectsParts) {
    this.#parts = parts;
  }

  /** @param which chooses among what there is now */
  do(what: EventKind, which: number): void {
    const { api, velero, fakeJobs, processes } = this.#parts;
    const one = <T>(from: readonly T[], act: (chosen: T) => void): void => {
      const chosen = from[which % from.length];
      if (chosen !== undefined) act(chosen);
    };
    const operation = (act: (chosen: Operation) => void) => one(api.list(operations), act);
    const named = (act: (name: string) => void) => one(this.#names(), act);
    const all: Record<EventKind, () => void> = {
      "create backup": () => ask(api, "Backup", `b${which % 2}`),
      "create restore": () => ask(api, "Restore", "r0"),
      cancel: () => operation((chosen) => annotate(api, chosen, Annotation.cancel, "true")),
      "take the cancel back": () => operation((chosen) => annotate(api, chosen, Annotation.cancel, null)),
      rerun: () => {
        this.#tokens += 1;
        operation((chosen) => annotate(api, chosen, Annotation.rerun, `token-${this.#tokens}`));
      },
      "delete the Operation": () => operation(({ metadata }) => api.delete("people", operations.plural, metadata)),
      "make a Job by hand": () => operation((chosen) => makeJob(api, chosen)),
      "copy a Job": () => one(api.list(jobs), (job) => copyJob(api, job, "copy-")),
      "replace a Job": () => one(api.list(jobs), (job) => copyJob(api, job)),
      "delete a Job": () => one(api.list(jobs), ({ metadata }) => api.delete("people", jobs.plural, metadata)),
      "delete Velero's object": () =>
        one(this.objects(), ({ kind, metadata }) => {
          api.delete("people", kind === restores.kind ? restores.plural : backups.plural, metadata);
        }),
      "make a Backup of that name": () => this.#squat(`b${which % 2}`),
      "velero goes on": () => named((name) => this.#advance(name)),
      "velero breaks early": () => named((name) => velero.breakEarly(name)),
      "velero breaks late": () => named((name) => velero.breakLate(name)),
      "velero refuses": () => named((name) => velero.refuse(name)),
      "velero refuses for a moment": () =>
        named((name) => {
          const restore = api.list(restores).find(({ metadata }) => metadata.name === name);
          if (restore === undefined) velero.refuse(name, LOCATION_REFUSAL);
          else velero.refuseRestore(restore);
        }),
      "the location changes": () => one(LOCATION_STATES, (state) => velero.location(state)),
      "velero restarts": () => velero.restart(),
      "velero has second thoughts": () => named((name) => velero.secondThoughts(name)),
      "velero syncs": () => {
        for (const name of velero.files.keys()) velero.sync(name);
      },
      "velero stops": () => {
        velero.up = !velero.up;
      },
      "velero stumbles over a request": () => named((name) => velero.finish(name, false)),
      "velero jumps": () => named((name) => one(PHASES, (phase) => this.#jump(name, phase))),
      "runner ends early": () => one([...fakeJobs.running.keys()], (pod) => one(ENDS, (how) => fakeJobs.end(pod, how))),
      "a queue holds a Job back": () => one(this.#unfinished(), (job) => fakeJobs.suspend(job, true)),
      "a queue lets a Job go on": () => one(this.#unfinished(), (job) => fakeJobs.suspend(job, false)),
      "a node rejects pods": () => fakeJobs.reject(1 + (which % 6)),
      "runner's next write": () =>
        one(processes.runners(), (runner) => one(FAULTS, (fault) => runner.faults.push(fault))),
      "dispatcher's next write": () =>
        one(processes.dispatchers(), (dispatcher) => one(FAULTS, (fault) => dispatcher.faults.push(fault))),
      "dispatcher killed": () =>
        one(processes.dispatchers(), (dispatcher) => processes.killDispatcher(dispatcher, which % 2 === 0)),
      "a second dispatcher": () => {
        if (processes.dispatchers().length < 2) processes.startDispatcher();
      },
      "watches lag": () => this.#silence(WATCHED),
      "one watch lags": () => one(WATCHED, (plural) => this.#silence([plural])),
      "watches break": () => {
        for (const each of processes.connections.values()) each.cut();
      },
      "history is compacted": () => api.compact(),
    };
    all[what]();
  }

  #silence(plurals: readonly string[]): void {
    const { clock, processes } = this.#parts;
    for (const { silentUntil } of processes.connections.values()) {
      for (const plural of plurals) silentUntil.set(plural, clock.monotonic() + SILENCE_MS);
    }
  }

  /** Everything that Velero has to do, by one step. */
  allAdvance(): void {
    const asked = this.#parts.velero.requests().map(({ spec }) => spec?.backupName ?? "");
    for (const name of new Set([...this.#names(), ...asked])) this.#advance(name);
  }

  /** Of Velero's objects: ours, and who is in their way. */
  objects(): VeleroObject[] {
    const { api, velero } = this.#parts;
    return [...api.list(backups), ...api.list(restores)].filter(({ metadata: { name, labels } }) => {
      return ownerOf(labels) !== undefined || (name !== SOURCE && !velero.isRunning(name));
    });
  }

  /** Nobody holds anything back any more, and every pod has a node. */
  nothingHeldBack(): void {
    this.#parts.fakeJobs.reject(0);
    for (const job of this.#unfinished()) if (job.spec?.suspend === true) this.#parts.fakeJobs.suspend(job, false);
  }

  #unfinished(): Job[] {
    return this.#parts.api.list(jobs).filter((job) => !jobHasEnded(job));
  }

  #names(): string[] {
    const running = ["b0", "b1"].filter((name) => this.#parts.velero.isRunning(name));
    return [...new Set([...this.objects().map(({ metadata }) => metadata.name), ...running])];
  }

  #advance(name: string): void {
    const { api, velero } = this.#parts;
    const restore = api.list(restores).find(({ metadata }) => metadata.name === name);
    const asked = velero.requests(name).map(({ status }) => status?.phase ?? "New");
    if (restore !== undefined) velero.advanceRestore(restore);
    else if (asked.includes("InProgress")) velero.finish(name, true);
    else if (asked.includes("New")) velero.takeUp(name);
    else velero.advance(name);
  }

  #jump(name: string, phase: string): void {
    const { api, velero } = this.#parts;
    if (api.find(restores.plural, { namespace: VELERO, name }) !== undefined) velero.patchRestore(name, { phase });
    else if (ownerOf(velero.object(name)?.metadata.labels) !== undefined) velero.jump(name, phase);
  }

  /**
   * Somebody else takes a name, where nothing is about to be deleted by it: Velero goes by name, so nobody can help who
   * comes between a look and the request for deletion, or between that and the deletion.
   */
  #squat(name: string): void {
    const { api, velero, processes } = this.#parts;
    const asked = velero.requests(name).length > 0;
    const about = [...processes.connections.values()].flatMap(({ underWay }) => [...underWay.values()]);
    const busy = about.some((call) => call.plural === deleteBackupRequests.plural || call.name === name);
    if (asked || busy || velero.object(name) !== undefined || velero.isRunning(name)) return;
    api.create("people", backups, { metadata: { namespace: VELERO, name, labels: { squatter: "true" } }, spec: {} });
  }
}
