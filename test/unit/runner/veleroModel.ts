import type { Backup, DeleteBackupRequest } from "../../../src/api/velero.ts";
import type { ArchiveOwner } from "../../../src/runner/cancel/cancelStep.ts";
import { backup, deleteRequest, OWN_LABELS } from "./veleroObjects.ts";

/** Whose backup it is: the cancelled Operation's, one made before it under the same name, or one made after it. */
export type Owner = "own" | "older" | "younger";

const LABELS: Record<Owner, Record<string, string>> = {
  own: OWN_LABELS,
  older: { ...OWN_LABELS, "ops.vworkspace.io/operation": "older-uid" },
  younger: {},
};

/**
 * Velero, the API server and the object store as far as one name is concerned, with the habits that lose data: Velero goes
 * by name, checks late whether the name is free, brings Backups back from the store with another uid, and a run outlives
 * its object. docs/velero-facts.md#data-loss-traps, docs/velero-facts.md#cancel-and-delete.
 */
export class VeleroModel {
  object: Backup | undefined;
  requests: DeleteBackupRequest[] = [];
  files: { owner: Owner; phase: string } | undefined;
  /** A run in the server's memory; it goes on when its object is deleted. */
  run: { owner: Owner; nameChecked: boolean } | undefined;
  /** Whose object and whose files a request of the cancelled Operation destroyed. */
  readonly destroyed: Owner[] = [];
  #made = 0;

  constructor(olderFiles: boolean) {
    if (olderFiles) this.files = { owner: "older", phase: "Completed" };
    this.create("own");
  }

  create(owner: Owner, status: Backup["status"] = { phase: "New" }): void {
    if (this.object !== undefined) return;
    this.object = backup(status, { uid: this.#unique(), resourceVersion: this.#unique(), labels: LABELS[owner] });
  }

  /** A deletion with preconditions, as the API server carries it out. */
  delete(object: Backup, unchanged: boolean): void {
    const { uid, resourceVersion } = object.metadata;
    const now = this.object?.metadata;
    if (now?.uid === uid && (!unchanged || now.resourceVersion === resourceVersion)) this.object = undefined;
  }

  request(object: Backup): void {
    const labels = { ...OWN_LABELS, "velero.io/backup-uid": object.metadata.uid };
    this.requests.push(deleteRequest({ phase: "New" }, { name: this.#unique(), uid: this.#unique(), labels }));
  }

  withdraw(requests: readonly DeleteBackupRequest[]): void {
    const gone = new Set(requests.map(({ metadata }) => metadata.uid));
    this.requests = this.requests.filter(
      (request) => !gone.has(request.metadata.uid) || request.status?.phase !== "New",
    );
  }

  whoseFiles(): ArchiveOwner {
    return this.files === undefined || this.files.owner === "own" ? "own" : "older";
  }

  /** The run, or the queue, takes one step. */
  advance(): void {
    const phase = this.object?.status?.phase;
    if (this.run !== undefined) this.#advanceRun(this.run);
    else if (phase === "New") this.#patch({ phase: "Queued" });
    else if (phase === "Queued") this.#patch({ phase: "ReadyToStart" });
    else if (phase === "ReadyToStart") this.#start();
    else if (phase === "Finalizing") this.#complete();
  }

  /** Something breaks before Velero has looked whether the name is free. */
  breakEarly(): void {
    if (this.run === undefined || this.run.nameChecked) return;
    this.#fail("backup execution failed: rpc error: plugin exited");
  }

  /** The run breaks at its end: its files are uploaded all the same. */
  breakLate(): void {
    if (!this.run?.nameChecked) return;
    this.files = { owner: this.run.owner, phase: "Failed" };
    this.#fail("backup execution failed: disk full");
  }

  restart(): void {
    this.run = undefined;
    if (this.object?.status?.phase !== "InProgress") return;
    this.#patch({
      phase: "Failed",
      failureReason: 'found a backup with status "InProgress" during the server starting',
    });
  }

  /** Brings back from the store what is finished there and has no object. */
  sync(): void {
    if (this.files === undefined || !["Completed", "Failed"].includes(this.files.phase)) return;
    this.create(this.files.owner, {
      phase: this.files.phase,
      ...(this.files.phase === "Failed" && { failureReason: "backup execution failed: disk full" }),
    });
  }

  /** Takes up a request, by name. */
  takeUpRequest(): void {
    const request = this.requests.find(({ status }) => status?.phase === "New");
    if (request === undefined) return;
    this.requests = [request];
    if (this.run !== undefined) request.status = { phase: "Processed", errors: ["backup is still in progress"] };
    else if (this.object === undefined) request.status = { phase: "Processed", errors: ["backup not found"] };
    else {
      request.status = { phase: "InProgress" };
      this.#patch({ phase: "Deleting" });
    }
  }

  /** Carries out the request that was taken up, or stumbles over it. */
  finishRequest(successfully: boolean): void {
    const request = this.requests.find(({ status }) => status?.phase === "InProgress");
    if (request === undefined) return;
    if (!successfully) {
      request.status = { phase: "Processed", errors: ["error deleting snapshot"] };
      return;
    }
    for (const owner of [this.#owner(), this.files?.owner]) if (owner !== undefined) this.destroyed.push(owner);
    this.files = undefined;
    this.object = undefined;
    this.requests = [];
  }

  /** Somebody with kubectl. */
  deleteByHand(): void {
    this.object = undefined;
  }

  #start(): void {
    const owner = this.#owner();
    if (owner === undefined) return;
    this.run = { owner, nameChecked: false };
    this.#patch({ phase: "InProgress" });
  }

  #advanceRun(run: NonNullable<VeleroModel["run"]>): void {
    if (!run.nameChecked && this.files !== undefined) {
      this.#fail("backup execution failed: backup already exists in object storage");
    } else if (!run.nameChecked) {
      run.nameChecked = true;
    } else {
      this.files = { owner: run.owner, phase: "Finalizing" };
      this.run = undefined;
      if (this.#owner() === run.owner) this.#patch({ phase: "Finalizing" });
    }
  }

  #complete(): void {
    if (this.files !== undefined) this.files.phase = "Completed";
    this.#patch({ phase: "Completed" });
  }

  #fail(failureReason: string): void {
    const { owner } = this.run ?? {};
    this.run = undefined;
    if (this.#owner() === owner) this.#patch({ phase: "Failed", failureReason });
  }

  #owner(): Owner | undefined {
    const labels = this.object?.metadata.labels;
    if (labels === undefined) return undefined;
    return (["own", "older", "younger"] as const).find((owner) => LABELS[owner] === labels);
  }

  #patch(status: Backup["status"]): void {
    if (this.object === undefined) return;
    const metadata = { ...this.object.metadata, resourceVersion: this.#unique() };
    this.object = { ...this.object, metadata, status: { ...this.object.status, ...status } };
  }

  #unique(): string {
    this.#made += 1;
    return String(this.#made);
  }
}
