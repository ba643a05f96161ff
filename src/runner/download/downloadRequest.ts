import { randomUUID } from "node:crypto";
import type { ZodType } from "zod";
import {
  type DownloadKind,
  type DownloadRequest,
  downloadRequests,
  type StorageLocation,
  type VeleroObject,
} from "../../api/velero.ts";
import { ApiError, isAlreadyExists, isInvalid, isNotFound } from "../../kube/errors.ts";
import { retry } from "../../kube/retry.ts";
import { awaitCondition } from "../../kube/wait.ts";
import type { RunnerContext } from "../context.ts";
import type { FetchLimits, FetchOptions, RemoteFile } from "../fetcher.ts";
import { ownershipLabels } from "../object/ownership.ts";
import { FetchError } from "./fetch.ts";

export interface DownloadLimits extends FetchLimits {
  /** How long Velero may take to sign a URL, in milliseconds. If Velero cannot, it never says so. */
  readonly urlTimeoutMs: number;
  /** For how long the runner retries when the object store is in trouble, in milliseconds. */
  readonly retryTimeMs: number;
}

/** The runner parses a file as a whole, which takes many times the file's size, and its pod has a memory limit. */
export const DOWNLOAD_LIMITS: DownloadLimits = {
  urlTimeoutMs: 30_000,
  retryTimeMs: 15_000,
  timeoutMs: 60_000,
  maxBytes: 4 * 1024 * 1024,
  maxUnpackedBytes: 6 * 1024 * 1024,
};

/** Where the files of an object are, and the limits for reading them. */
export interface DownloadSource {
  readonly object: VeleroObject;
  /** The name under which the files are stored. Default: the object's own. */
  readonly name?: string;
  /** Reads the location of those files; undefined if that fails. It is asked only where its certificates are needed. */
  readonly location: () => Promise<StorageLocation | undefined>;
  readonly limits: DownloadLimits;
}

/** A file could not be read. The message says why, and may be shown to tenants. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  /**
   * The object store itself said that it has no such file. No other failure counts as that: a cancel that took an
   * unreadable file for a missing one could delete an older backup's files.
   */
  readonly absent: boolean;
  /** The file was read, but is not what Velero wrote. The message names the file. */
  readonly garbled: boolean;

  constructor(message: string, { absent = false, garbled = false }: { absent?: boolean; garbled?: boolean } = {}) {
    super(message);
    this.absent = absent;
    this.garbled = garbled;
  }
}

/**
 * Runs one of several independent steps, described by `what`. If the step fails, that is recorded and the result is
 * undefined.
 */
export type OrMissing = <T>(what: string, step: () => Promise<T>) => Promise<T | undefined>;

/**
 * Downloads one of Velero's JSON files.
 *
 * @throws DownloadError when the file cannot be read, or is not what Velero writes; ApiError and UnreachableError when
 *   a call to the API server fails; the signal's reason once it aborts
 */
export async function downloadJson<T>(
  context: RunnerContext,
  kind: DownloadKind,
  source: DownloadSource,
  schema: ZodType<T>,
): Promise<T> {
  const parsed = schema.safeParse(parseJson(kind, await download(context, kind, source, context.fetcher.gzip)));
  if (parsed.success) return parsed.data;
  // Not garbled, so no reason for Degraded: a newer Velero may write it in another form.
  throw new DownloadError(`${kind} is not what Velero documents`);
}

function parseJson(kind: DownloadKind, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DownloadError(`${kind}: the file is not JSON`, { garbled: true });
  }
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
  /** When the runner asked for it, by the API server's clock, to the second. */
  readonly askedAt: Date;
}

/** The end of a run waits no longer for the deletion of a DownloadRequest, in milliseconds. */
const DELETE_TIMEOUT_MS = 5_000;

async function download<T>(
  context: RunnerContext,
  kind: DownloadKind,
  source: DownloadSource,
  fetch: (url: string, options: FetchOptions, askedAt: Date) => Promise<T>,
): Promise<T> {
  const { limits } = source;
  const { url, askedAt, deleted } = await signedUrl(context, kind, source);
  const retries = { ...context, maxRetryTimeMs: limits.retryTimeMs, isRetryable };
  const tryFetch = (ca?: string) => retry(() => fetch(url, { ca, signal: context.signal, limits }, askedAt), retries);
  try {
    return await tryFetch().catch((error: unknown) => trustingLocation(error, source, tryFetch));
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    const { absent, garbled } = error;
    if (garbled) throw new DownloadError(`${kind}: ${error.message}`, { garbled });
    throw new DownloadError(error.message + (error.untrusted ? howToTrust(await source.location()) : ""), { absent });
  } finally {
    await deleted;
  }
}

/** Tries again with the certificate authority that the location names, where nobody known here has signed the store's. */
async function trustingLocation<T>(
  error: unknown,
  { location }: DownloadSource,
  tryFetch: (ca: string) => Promise<T>,
): Promise<T> {
  if (!(error instanceof FetchError) || !error.untrusted) throw error;
  const caCert = (await location())?.spec?.objectStorage?.caCert;
  if (caCert === undefined) throw error;
  return await tryFetch(Buffer.from(caCert, "base64").toString("utf8"));
}

/** An overloaded object store asks its clients to retry, and any connection may break once. */
function isRetryable(error: unknown): boolean {
  return error instanceof FetchError && error.transient;
}

/** What an admin can do about a certificate that the runner does not trust. */
function howToTrust(location: StorageLocation | undefined): string {
  const { objectStorage, config } = location?.spec ?? {};
  // The runner has no right to read Secrets.
  if (objectStorage?.caCertRef !== undefined)
    return "; the location's caCertRef names a Secret that the runner may not read: mount that CA and name it in NODE_EXTRA_CA_CERTS";
  if (/^(1|t|true)$/i.test(config?.insecureSkipTLSVerify ?? ""))
    return "; the location's config.insecureSkipTLSVerify counts for Velero alone, the runner verifies every certificate: set spec.objectStorage.caCert to the store's CA";
  return "";
}

/**
 * Asks Velero for a signed URL, and deletes the DownloadRequest afterwards; Velero would delete it after ten minutes.
 *
 * @returns the URL, while the DownloadRequest is still being deleted
 */
async function signedUrl(
  context: RunnerContext,
  kind: DownloadKind,
  { object, name: fileName = object.metadata.name, limits }: DownloadSource,
): Promise<{ url: string; askedAt: Date; deleted: Promise<void> }> {
  const name = `${object.metadata.name}-${randomUUID()}`;
  const { client, settings } = context;
  const target = { namespace: settings.veleroNamespace, name };
  const manifest = {
    metadata: { ...target, labels: ownershipLabels(object) },
    spec: { target: { kind, name: fileName } },
  };
  let created: DownloadRequest | undefined;
  try {
    created = await retry(() => client.create(downloadRequests, manifest, context), context);
  } catch (error) {
    if (isUnknownKind(error)) throw new DownloadError(`this version of Velero has no ${kind}`);
    // The name is random, so an earlier try of this call has taken it, and its answer was lost.
    if (!isAlreadyExists(error)) throw error;
  }
  const remove = async () => {
    await client.delete(downloadRequests, target, { timeoutMs: DELETE_TIMEOUT_MS }).catch((error: unknown) => {
      if (!isNotFound(error))
        context.logger.debug(
          { err: error, downloadRequest: name },
          "could not delete the DownloadRequest; Velero deletes it after ten minutes",
        );
    });
  };
  try {
    const { metadata, status } = await signedRequest(context, target, created, limits);
    return { url: status.downloadURL, askedAt: new Date(metadata.creationTimestamp), deleted: remove() };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * The CRD of an older Velero does not allow every kind. The code alone proves nothing: an admission policy may refuse
 * with the same one.
 */
function isUnknownKind(error: unknown): boolean {
  if (!(error instanceof ApiError) || !isInvalid(error)) return false;
  return error.causes.some(({ field, reason }) => field === "spec.target.kind" && reason === "FieldValueNotSupported");
}

async function signedRequest(
  context: RunnerContext,
  target: { namespace: string; name: string },
  created: DownloadRequest | undefined,
  { urlTimeoutMs }: DownloadLimits,
): Promise<DownloadRequest & { status: { downloadURL: string } }> {
  const { client, signal, logger, clock } = context;
  const enough = new AbortController();
  const tooLate = new AbortController();
  const options = { logger, clock, signal: AbortSignal.any([signal, tooLate.signal]), from: created };
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
