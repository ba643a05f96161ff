import { Label } from "../../../src/api/labels.ts";
import { backups, type DeleteBackupRequest, deleteBackupRequests } from "../../../src/api/velero.ts";
import type { KubeClient } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { createLogger } from "../../../src/log.ts";

const logger = createLogger("deletions", "silent");

/** Plays Velero's controller of DeleteBackupRequests in one namespace, one request at a time, as the test says. */
export class Deletions {
  readonly #client: KubeClient;
  readonly #namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Waits for a request that nobody has taken up yet; with a name, for one that concerns that Backup. */
  async next(backupName?: string): Promise<DeleteBackupRequest> {
    const options = { namespace: this.#namespace, signal: new AbortController().signal, logger, clock: systemClock };
    for await (const event of watchResource(this.#client, deleteBackupRequests, options)) {
      if (event.type === "synced" || event.type === "deleted") continue;
      if (backupName !== undefined && event.object.spec?.backupName !== backupName) continue;
      if ((event.object.status?.phase ?? "New") === "New") return event.object;
    }
    throw new Error("a watch never ends");
  }

  /** Refuses it: Velero never looks at it again. */
  async refuse({ metadata }: DeleteBackupRequest, ...errors: string[]): Promise<void> {
    await this.#client.mergePatch(deleteBackupRequests, metadata, { status: { phase: "Processed", errors } });
  }

  /** Carries it out, by name, in Velero's order. Only objects go: there is no store here. */
  async carryOut(request: DeleteBackupRequest): Promise<void> {
    const namespace = this.#namespace;
    const backup = { namespace, name: request.spec?.backupName ?? "" };
    for (const { metadata, spec } of await this.all()) {
      if (spec?.backupName !== backup.name) continue;
      if (metadata.name !== request.metadata.name) await this.#client.delete(deleteBackupRequests, metadata);
    }
    await this.#client.mergePatch(deleteBackupRequests, request.metadata, { status: { phase: "InProgress" } });
    await this.#client.mergePatch(backups, backup, { status: { phase: "Deleting" } });
    await this.#client.delete(backups, backup);
    await this.#client.mergePatch(deleteBackupRequests, request.metadata, { status: { phase: "Processed" } });
    const uid = request.metadata.labels?.[Label.veleroBackupUid];
    for (const { metadata } of await this.all()) {
      if (metadata.labels?.[Label.veleroBackupUid] === uid) await this.#client.delete(deleteBackupRequests, metadata);
    }
  }

  /** Waits until a request is gone. */
  async gone({ metadata }: DeleteBackupRequest): Promise<void> {
    const options = { signal: new AbortController().signal, logger, clock: systemClock };
    await awaitCondition(this.#client, deleteBackupRequests, metadata, (request) => request === undefined, options);
  }

  async all(): Promise<DeleteBackupRequest[]> {
    return (await this.#client.list(deleteBackupRequests, { namespace: this.#namespace })).items;
  }
}
