import { randomUUID } from "node:crypto";
import type { ZodType } from "zod";
import {
  type DownloadKind,
  type DownloadRequest,
  downloadRequests,
  type StorageLocation,
  type VeleroObject,
} from "../api/velero.ts";
import { isAlreadyExists, isInvalid, isNotFound } from "../kube/errors.ts";
import { retry } from "../kube/retry.ts";
import { awaitCondition } from "../kube/wait.ts";
import type { RunnerContext } from "./context.ts";
import { FetchError, type FetchLimits, type FetchOptions, type RemoteFile } from "./fetch.ts";
import { ownershipLabels } from "./ownership.ts";

export interface DownloadLimits extends FetchLimits {
  /** How long Velero may take to sign a URL, in milliseconds: it has no other way to say that it cannot. */
  readonly urlTimeoutMs: number;
}

/** A file is parsed as a whole, which takes many times its size: the runner has to fit into the memory of its pod. */
export const DOWNLOAD_LIMITS: DownloadLimits = {
  urlTimeoutMs: 30_000,
  timeoutMs: 60_000,
  maxBytes: 4 * 1024 * 1024,
  maxUnpackedBytes: 6 * 1024 * 1024,
};

/** Where the files of an object lie, and how far to go for them. */
export interface DownloadSource {
  readonly object: VeleroObject;
  /** The location of those files; undefined where it could not be read. */
  readonly location: StorageLocation | undefined;
  readonly limits: DownloadLimits;
}

/** A file could not be had; the message says why in words that may be shown to anybody. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  /** There is no such file, or this Velero does not know of such files. */
  readonly absent: boolean;

  constructor(message: string, { absent = false }: { absent?: boolean } = {}) {
    super(message);
    this.absent = absent;
  }
}

/**
 * Downloads one of Velero's JSON files.
 *
 * @throws DownloadError for whatever cannot be had, garbage included; ApiError and UnreachableError when the API server
 *   does not cooperate; the signal's reason once it aborts
 */
export async function downloadJson<T>(
  context: RunnerContext,
  kind: DownloadKind,
  source: DownloadSource,
  schema: ZodType<T>,
): Promise<T> {
  const json = await download(context, kind, source, context.fetcher.gzip);
  try {
    const parsed = schema.safeParse(JSON.parse(json));
    if (parsed.success) return parsed.data;
  } catch {
    // No JSON at all: the same to whoever reads the message.
  }
  throw new DownloadError(`${kind} is not what Velero documents`);
}

/**
 * Asks the object store for the archive of a backup, without reading it.
 *
 * @throws as {@link downloadJson}
 */
export async function archiveOf(context: RunnerContext, source: DownloadSource): Promise<Archive> {
  return await download(context, "BackupContents", source, async (url, options, askedAt) => {
    return { ...(await context.fetcher.size(url, options)), askedAt };
  });
}

export interface Archive extends RemoteFile {
  /** When it was asked for, by the API server's clock, to the second. */
  readonly askedAt: Date;
}

async function download<T>(
  context: RunnerContext,
  kind: DownloadKind,
  source: DownloadSource,
  fetch: (url: string, options: FetchOptions, askedAt: Date) => Promise<T>,
): Promise<T> {
  const { caCert, caCertRef } = source.location?.spec?.objectStorage ?? {};
  const ca = caCert === undefined ? undefined : Buffer.from(caCert, "base64").toString("utf8");
  const { url, askedAt } = await signedUrl(context, kind, source);
  try {
    return await fetch(url, { ca, signal: context.signal, limits: source.limits }, askedAt);
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    // The runner has no right to Secrets.
    const hint =
      error.untrusted && caCertRef !== undefined
        ? "; the location's caCertRef names a Secret that the runner may not read: mount that CA and name it in NODE_EXTRA_CA_CERTS"
        : "";
    throw new DownloadError(error.message + hint, { absent: error.absent });
  }
}

/** Has Velero sign a URL. The request is removed afterwards; Velero would do so after ten minutes. */
async function signedUrl(
  context: RunnerContext,
  kind: DownloadKind,
  { object, limits }: DownloadSource,
): Promise<{ url: string; askedAt: Date }> {
  const name = `${object.metadata.name}-${randomUUID()}`;
  const { client, settings } = context;
  const target = { namespace: settings.veleroNamespace, name };
  const manifest = {
    metadata: { ...target, labels: ownershipLabels(object) },
    spec: { target: { kind, name: object.metadata.name } },
  };
  try {
    await retry(() => client.create(downloadRequests, manifest, context), context);
  } catch (error) {
    // The CRD of an older Velero lists the kinds that it knows.
    if (isInvalid(error)) throw new DownloadError(`this Velero knows no ${kind}`, { absent: true });
    // The name is random: who has it is an earlier try of ours whose answer was lost.
    if (!isAlreadyExists(error)) throw error;
  }
  try {
    const { metadata, status } = await answered(context, target, limits);
    return { url: status.downloadURL, askedAt: new Date(metadata.creationTimestamp) };
  } finally {
    await client.delete(downloadRequests, target).catch((error: unknown) => {
      if (!isNotFound(error))
        context.logger.debug({ err: error, downloadRequest: name }, "left a DownloadRequest behind");
    });
  }
}

async function answered(
  context: RunnerContext,
  target: { namespace: string; name: string },
  { urlTimeoutMs }: DownloadLimits,
): Promise<DownloadRequest & { status: { downloadURL: string } }> {
  const { client, signal, logger, clock } = context;
  const enough = new AbortController();
  const tooLate = new AbortController();
  const options = { logger, clock, signal: AbortSignal.any([signal, tooLate.signal]) };
  const timer = clock.sleep(urlTimeoutMs, enough.signal).then(
    () => tooLate.abort(),
    () => undefined,
  );
  try {
    const done = await awaitCondition(
      client,
      downloadRequests,
      target,
      (request) => request === undefined || (request.status?.downloadURL ?? "") !== "",
      options,
    );
    const { downloadURL } = done?.status ?? {};
    if (done !== undefined && downloadURL !== undefined) return { ...done, status: { downloadURL } };
  } catch (error) {
    signal.throwIfAborted();
    if (!tooLate.signal.aborted) throw error;
    throw new DownloadError(
      `Velero gave no download URL within ${urlTimeoutMs / 1000} s: is its server running and the storage location available?`,
    );
  } finally {
    enough.abort();
    await timer;
  }
  throw new DownloadError("the DownloadRequest was deleted before Velero answered it");
}
