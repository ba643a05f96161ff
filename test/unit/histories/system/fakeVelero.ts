import { Label } from "../../../../src/api/labels.ts";
import {
  type Backup,
  backups,
  type DeleteBackupRequest,
  deleteBackupRequests,
  downloadRequests,
  isRestorable,
  isVeleroTerminal,
  restores,
  storageLocations,
  type VeleroObject,
} from "../../../../src/api/velero.ts";
import type { KubeObject } from "../../../../src/kube/metadata.ts";
import { FetchError } from "../../../../src/runner/download/fetch.ts";
import type { Fetcher } from "../../../../src/runner/fetcher.ts";
import type { FakeClock } from "../../kube/fakeClock.ts";
import type { FakeApiServer } from "./fakeApiServer.ts";

type Phase = string;

/** What lies in the object store under the name of a backup. */
export interface StoredFiles {
  /** The labels of the Backup that they are of. */
  readonly labels: Record<string, string>;
  readonly writtenAt: number;
  /** As velero-backup.json has it. */
  readonly phase: Phase;
}

/** What goes on in the server's memory, whatever becomes of its object. */
interface Run {
  readonly labels: Record<string, string>;
  nameChecked: boolean;
}

const STORE = "http://store.test/";
const OLD_MS = 3_600_000;
export const VELERO = "velero";
export const LOCATION_REFUSAL =
  "backup can't be created because BackupStorageLocation default is in Unavailable status.";
const READ_REFUSAL = "The BSL default is unavailable, cannot retrieve the backup";

/** What Velero says of its storage location, or what its admin made of it. */
export type LocationState = "Available" | "Unavailable" | "ReadOnly";

/**
 * Velero and its object store, on the {@link FakeApiServer}, with the habits that lose data: it goes by name, checks late
 * whether a name is free, writes onto whatever has the name, brings Backups back from the store with another uid, deletes
 * files by name at the end of a ttl, and a run outlives its object. Every step is asked for; nothing happens by itself but
 * the signing of URLs. docs/velero-facts.md#data-loss-traps, docs/velero-facts.md#cancel-and-delete.
 */
export class FakeVelero {
  readonly files = new Map<string, StoredFiles>();
  /** The labels of everything whose files were deleted. */
  readonly destroyed: Record<string, string>[] = [];
  /** Whether the server answers, and the store with it. */
  up = true;
  #location: LocationState = "Available";
  readonly #api: FakeApiServer;
  readonly #clock: FakeClock;
  readonly #runs = new Map<string, Run>();

  constructor(api: FakeApiServer, clock: FakeClock) {
    this.#api = api;
    this.#clock = clock;
    api.onWrite(({ verb, plural, after }) => {
      if (verb === "create" && plural === downloadRequests.plural && this.up && after !== undefined) {
        const { name } = after.metadata;
        const backup = name.slice(0, -"-00000000-0000-0000-0000-000000000000".length);
        const status = { phase: "Processed", downloadURL: `${STORE}${backup}` };
        api.patch("velero", plural, { namespace: VELERO, name }, { status });
      }
    });
  }

  readonly fetcher: Fetcher = {
    gzip: async () => "[]",
    size: async (url) => {
      if (!this.up) throw new FetchError("the object store answered 503");
      const found = this.files.get(url.slice(STORE.length));
      if (found === undefined) throw new FetchError("the object store has no such file (404)", { absent: true });
      return { size: 1, ageMs: this.#clock.monotonic() - found.writtenAt, isGzip: true };
    },
  };

  /** A backup from before all this. */
  older(name: string, withObject: boolean): void {
    const labels = { older: "true" };
    this.files.set(name, { labels, writtenAt: this.#clock.monotonic() - OLD_MS, phase: "Completed" });
    if (withObject) this.sync(name);
  }

  isRunning(name: string): boolean {
    return this.#runs.has(name);
  }

  object(name: string): Backup | undefined {
    return this.#api.list(backups).find(({ metadata }) => metadata.name === name);
  }

  objects(plural: string): readonly KubeObject[] {
    return this.#api.all(plural) ?? [];
  }

  requests(name?: string): DeleteBackupRequest[] {
    return this.#api.list(deleteBackupRequests).filter(({ spec }) => name === undefined || spec?.backupName === name);
  }

  /** The queue, or the run under that name, takes one step. */
  advance(name: string): void {
    if (!this.up) return;
    const run = this.#runs.get(name);
    const phase = this.object(name)?.status?.phase || "New";
    if (run !== undefined) this.#advanceRun(name, run);
    else if (phase === "New") this.#patch(name, { phase: "Queued" });
    else if (phase === "Queued") this.#patch(name, { phase: "ReadyToStart" });
    else if (phase === "ReadyToStart" && this.#location !== "Available") this.refuse(name, LOCATION_REFUSAL);
    else if (phase === "ReadyToStart") this.#start(name);
    else if (phase === "Finalizing") this.#complete(name);
    else if (!isVeleroTerminal(phase) && phase !== "Deleting")
      this.#patch(name, { phase: "Failed", failureReason: "odd" });
  }

  advanceRestore(restore: VeleroObject): void {
    const { name } = restore.metadata;
    const { status } = restore;
    if (!this.up) return;
    if (this.#location === "Unavailable") {
      this.refuseRestore(restore);
      return;
    }
    const next: Record<string, string> = { New: "InProgress", InProgress: "Finalizing", Finalizing: "Completed" };
    const phase = status?.phase || "New";
    if (!isVeleroTerminal(phase)) this.patchRestore(name, { phase: next[phase] ?? "Failed" });
    const now = this.#api.find(restores.plural, { namespace: VELERO, name });
    const over = now?.metadata.deletionTimestamp !== undefined && phase !== "InProgress" && phase !== "Finalizing";
    if (over) this.#api.patch("velero", restores.plural, now.metadata, { metadata: { finalizers: [] } });
  }

  patchRestore(name: string, status: object): void {
    const finalizers = ["restores.velero.io/external-resources-finalizer"];
    this.#api.patch("velero", restores.plural, { namespace: VELERO, name }, { status, metadata: { finalizers } });
  }

  /** Something breaks before Velero has looked whether the name is free. */
  breakEarly(name: string): void {
    const run = this.#runs.get(name);
    if (run === undefined || run.nameChecked) return;
    this.#fail(name, "backup execution failed: rpc error: plugin exited");
  }

  /** The run breaks at its end: its files are uploaded all the same. */
  breakLate(name: string): void {
    const run = this.#runs.get(name);
    if (!run?.nameChecked) return;
    this.#upload(name, run.labels, "Failed");
    this.#fail(name, "backup execution failed: disk full");
  }

  refuse(name: string, error = "Invalid included/excluded resource lists"): void {
    if (
      ["ReadyToStart", "Queued", "New", ""].includes(this.object(name)?.status?.phase ?? "") &&
      !this.isRunning(name)
    ) {
      this.#patch(name, { phase: "FailedValidation", validationErrors: [error] });
    }
  }

  refuseRestore({ metadata: { name }, status }: VeleroObject): void {
    if ((status?.phase || "New") !== "New") return;
    this.patchRestore(name, { phase: "FailedValidation", validationErrors: [READ_REFUSAL] });
  }

  /** The store goes, or is closed for writing, or comes back. */
  location(state: LocationState): void {
    this.#location = state;
    const target = { namespace: VELERO, name: "default" };
    this.#api.patch("velero", storageLocations.plural, target, {
      spec: { accessMode: state === "ReadOnly" ? state : "ReadWrite" },
      status: { phase: state === "Unavailable" ? state : "Available" },
    });
  }

  /** The server is started again: what was under way is given up, some of which turns out well later. */
  restart(): void {
    const failureReason = 'found a backup with status "InProgress" during the server starting, mark it as "Failed"';
    for (const { metadata, status } of this.#api.list(backups)) {
      if (status?.phase === "InProgress") this.#patch(metadata.name, { phase: "Failed", failureReason });
    }
    this.#runs.clear();
  }

  /** What a restart gave up becomes Completed after all. */
  secondThoughts(name: string): void {
    const object = this.object(name);
    if (object?.status?.phase !== "Failed" || !object.status.failureReason?.includes("starting")) return;
    if (this.files.has(name)) return;
    this.#upload(name, object.metadata.labels ?? {}, "Completed");
    this.#patch(name, { phase: "Completed" });
  }

  /** Any phase, from anywhere: as a newer Velero might, or a patch that comes late. */
  jump(name: string, phase: Phase): void {
    const object = this.object(name);
    if (object === undefined || object.status?.phase === "Deleting") return;
    // What was refused never runs.
    if (object.status?.phase === "FailedValidation") return;
    const owns = ownerOf(this.files.get(name)?.labels ?? object.metadata.labels) === ownerOf(object.metadata.labels);
    // Where others' files lie it never comes that far, and once it has failed it stays so.
    if (!owns && isVeleroTerminal(object.status?.phase)) return;
    if (isRestorable(phase) || phase === "Finalizing") {
      if (!owns) return;
      this.#upload(name, object.metadata.labels ?? {}, phase);
    }
    this.#patch(name, { phase });
    if (isVeleroTerminal(phase) || phase === "Finalizing") this.#runs.delete(name);
  }

  /** Brings back from the store what is finished there and has no object. */
  sync(name: string): void {
    const found = this.files.get(name);
    if (found === undefined || !isVeleroTerminal(found.phase) || this.object(name) !== undefined) return;
    this.#api.create("velero", backups, {
      metadata: { name, namespace: VELERO, labels: found.labels },
      spec: { storageLocation: "default", includedNamespaces: ["org-a"] },
      status: {
        phase: found.phase,
        ...(found.phase === "Failed" && { failureReason: "backup execution failed: disk full" }),
      },
    });
  }

  /** Takes up a request for deletion, by name. */
  takeUp(name: string): void {
    const request = this.requests(name).find(({ status }) => (status?.phase ?? "New") === "New");
    if (request === undefined || !this.up) return;
    const refused = (error: string) => this.#patchRequest(request, { phase: "Processed", errors: [error] });
    if (this.isRunning(name)) refused("backup is still in progress");
    else if (this.object(name) === undefined) refused("backup not found");
    else {
      this.#patchRequest(request, { phase: "InProgress" });
      this.#patch(name, { phase: "Deleting" });
    }
  }

  /** Carries out the request that was taken up, or stumbles over it. */
  finish(name: string, successfully: boolean): void {
    const request = this.requests(name).find(({ status }) => status?.phase === "InProgress");
    if (request === undefined || !this.up) return;
    if (successfully) this.collect(name);
    else this.#patchRequest(request, { phase: "Processed", errors: ["error deleting snapshot"] });
  }

  /** Deletes object and files, by name: so does the end of a ttl. */
  collect(name: string): void {
    const found = this.files.get(name);
    if (found !== undefined) this.destroyed.push(found.labels);
    this.files.delete(name);
    const object = this.object(name);
    if (object !== undefined) this.#api.delete("velero", backups.plural, object.metadata);
    for (const { metadata } of this.requests(name)) this.#api.delete("velero", deleteBackupRequests.plural, metadata);
  }

  #start(name: string): void {
    const object = this.object(name);
    if (object === undefined) return;
    this.#runs.set(name, { labels: object.metadata.labels ?? {}, nameChecked: false });
    const startTimestamp = this.#api.now();
    const expiration = new Date(this.#clock.now().getTime() + 30 * 24 * OLD_MS).toISOString();
    this.#patch(name, { phase: "InProgress", startTimestamp, expiration });
  }

  #advanceRun(name: string, run: Run): void {
    if (!run.nameChecked && this.files.has(name)) {
      this.#fail(name, "backup execution failed: backup already exists in object storage");
    } else if (!run.nameChecked) {
      run.nameChecked = true;
    } else {
      this.#upload(name, run.labels, "Finalizing");
      this.#runs.delete(name);
      this.#patch(name, { phase: "Finalizing" });
    }
  }

  #complete(name: string): void {
    const found = this.files.get(name);
    if (found === undefined) {
      this.#fail(name, "its files are gone");
      return;
    }
    this.files.set(name, { ...found, phase: "Completed" });
    this.#patch(name, { phase: "Completed", progress: { itemsBackedUp: 3, totalItems: 3 } });
  }

  #fail(name: string, failureReason: string): void {
    this.#runs.delete(name);
    this.#patch(name, { phase: "Failed", failureReason });
  }

  #upload(name: string, labels: Record<string, string>, phase: Phase): void {
    this.files.set(name, { labels, phase, writtenAt: this.#clock.monotonic() });
  }

  /** By name, whatever has it. */
  #patch(name: string, status: object): void {
    const target = { namespace: VELERO, name };
    const spec = { storageLocation: "default", ttl: "720h0m0s" };
    if (this.object(name) !== undefined) this.#api.patch("velero", backups.plural, target, { status, spec });
  }

  #patchRequest({ metadata }: DeleteBackupRequest, status: object): void {
    this.#api.patch("velero", deleteBackupRequests.plural, metadata, { status });
  }
}

/** Whose it is, by the labels that it carries. */
export function ownerOf(labels: Readonly<Record<string, string>> | undefined): string | undefined {
  const uid = labels?.[Label.operation];
  return uid === undefined ? undefined : `${uid}/${labels?.[Label.attempt]}`;
}
