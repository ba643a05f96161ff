import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { OperationType } from "../../../src/api/operation.ts";
import { downloadRequests, type VeleroObject } from "../../../src/api/velero.ts";
import type { KubeClient } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { isNotFound } from "../../../src/kube/errors.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { createLogger } from "../../../src/log.ts";
import { veleroResource } from "../../../src/runner/object/veleroObject.ts";

/** Bytes of every archive that this Velero says it wrote. */
export const ARCHIVE_BYTES = 4096;

const logger = createLogger("velero-double", "silent");

/**
 * Plays Velero's part in one namespace: what it does to Backups and Restores the test says, status by status, in merge
 * patches without a resourceVersion, as Velero writes them. DownloadRequests it answers by itself.
 */
export class VeleroDouble {
  readonly namespace: string;
  /** What its BackupResults and RestoreResults say. */
  results: object = { warnings: {}, errors: {} };
  /** What its RestoreResourceList says. */
  restored: object = { "v1/ConfigMap": ["org-a/settings(created)", "org-a/texts(skipped)"] };
  /** When the archives in its object store were written; unset: the store does not tell. */
  archiveWritten: Date | undefined;
  /** What its object store answers instead of the file of that kind; undefined: the file. */
  trouble: (kind: string) => RequestListener | undefined = () => undefined;
  readonly #client: KubeClient;
  readonly #stop = new AbortController();
  readonly #files: Server;
  readonly #answering: Promise<void>;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.namespace = namespace;
    this.#files = createServer((request, response) => {
      const kind = new URL(request.url ?? "/", "http://localhost").pathname.slice(1);
      const trouble = this.trouble(kind);
      if (trouble !== undefined) {
        trouble(request, response);
        return;
      }
      if (kind === "BackupContents") {
        const written = this.archiveWritten && { "last-modified": this.archiveWritten.toUTCString() };
        response
          .writeHead(206, { "content-range": `bytes 0-1/${ARCHIVE_BYTES}`, ...written })
          .end(gzipSync("").subarray(0, 2));
        return;
      }
      response.end(gzipSync(JSON.stringify(this.#file(kind))));
    });
    this.#files.listen(0, "127.0.0.1");
    this.#answering = this.#answerDownloads().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#answering;
    this.#files.closeAllConnections();
    await new Promise((resolve) => this.#files.close(resolve));
  }

  /** Waits until there is an object of that name, as the API server has it. */
  async created(type: OperationType, name: string): Promise<VeleroObject> {
    return await this.until(type, name, (object) => object !== undefined);
  }

  /** Waits until the object of that name meets the condition. */
  async until<T extends VeleroObject | undefined>(
    type: OperationType,
    name: string,
    condition: (object: VeleroObject | undefined) => boolean,
  ): Promise<T> {
    const target = { namespace: this.namespace, name };
    const options = { signal: this.#stop.signal, logger, clock: systemClock };
    return (await awaitCondition(this.#client, veleroResource(type), target, condition, options)) as T;
  }

  /** Writes a status as Velero does. */
  async setStatus(type: OperationType, name: string, status: Record<string, unknown>): Promise<void> {
    await this.#client.mergePatch(veleroResource(type), { namespace: this.namespace, name }, { status });
  }

  /** Makes an object as a person does, with kubectl. */
  async make(
    type: OperationType,
    name: string,
    { labels = {}, ...fields }: { labels?: Record<string, string>; spec?: object; status?: object } = {},
  ): Promise<VeleroObject> {
    const metadata = { namespace: this.namespace, name, labels };
    return await this.#client.create(veleroResource(type), { metadata, ...fields }, { fieldManager: "kubectl-create" });
  }

  async all(type: OperationType): Promise<VeleroObject[]> {
    return (await this.#client.list(veleroResource(type), { namespace: this.namespace })).items;
  }

  async delete(type: OperationType, name: string): Promise<void> {
    await this.#client.delete(veleroResource(type), { namespace: this.namespace, name });
  }

  #file(kind: string): object {
    if (kind === "RestoreResourceList") return this.restored;
    return kind === "BackupVolumeInfos" || kind === "RestoreVolumeInfo" ? [] : this.results;
  }

  async #answerDownloads(): Promise<void> {
    const options = { namespace: this.namespace, signal: this.#stop.signal, logger, clock: systemClock };
    for await (const event of watchResource(this.#client, downloadRequests, options)) {
      if (event.type !== "added") continue;
      const { port } = this.#files.address() as AddressInfo;
      const { target } = event.object.spec as { target: { kind: string } };
      const status = { phase: "Processed", downloadURL: `http://127.0.0.1:${port}/${target.kind}` };
      try {
        await this.#client.mergePatch(downloadRequests, event.object.metadata, { status });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }
}
