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
  /** How long Velero may take to sign a URL, in milliseconds: it has no other way to say that it cannot. */
  readonly urlTimeoutMs: number;
  /** For how long an object store in trouble is asked again, in milliseconds. */
  readonly retryTimeMs: number;
}

/** A file is parsed as a whole, which takes many times its size: the runner has to fit into the memory of its pod. */
export const DOWNLOAD_LIMITS: DownloadLimits = {
  urlTimeoutMs: 30_000,
  retryTimeMs: 15_000,
  timeoutMs: 60_000,
  maxBytes: 4 * 1024 * 1024,
  maxUnpackedBytes: 6 * 1024 * 1024,
};

/** Where the files of an object lie, and how far to go for them. */
export interface DownloadSource {
  readonly object: VeleroObject;
  /** The name that the files lie under. Default: the object's own. */
  readonly name?: string;
  /** The location of those files; undefined where it could not be read. */
  readonly location: StorageLocation | undefined;
  readonly limits: DownloadLimits;
}

/** A file could not be had; the message says why in words that may be shown to anybody. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  /** The object store said that it has no such file. Nothing else does: an older backup's files may hang on it. */
  readonly absent: boolean;
  /** The file was read, and is not what Velero wrote; the message names it. */
  readonly garbled: boolean;

  constructor(message: string, { absent = false, garbled = false }: { absent?: boolean; garbled?: boolean } = {}) {
    super(message);
    this.absent = absent;
    this.garbled = garbled;
  }
}

/** Tries to have one of several things; undefined where that is in vain, which is noted. */
export type Try = <T>(what: string, step: () => Promise<T>) => Promise<T | undefined>;

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
  const parsed = schema.safeParse(parseJson(kind, await download(context, kind, source, context.fetcher.gzip)));
  if (parsed.success) return parsed.data;
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
  /** When it was asked for, by the API server's clock, to the second. */
  readonly askedAt: Date;
}

async function download<T>(
  context: RunnerContext,
  kind: DownloadKind,
  source: DownloadSource,
  fetch: (url: string, options: FetchOptions, askedAt: Date) => Promise<T>,
): Promise<T> {
  const { location, limits } = source;
  const { caCert } = location?.spec?.objectStorage ?? {};
  const ca = caCert === undefined ? undefined : Buffer.from(caCert, "base64").toString("utf8");
  const { url, askedAt } = await signedUrl(context, kind, source);
  try {
    const options = { ca, signal: context.signal, limits };
    const retries = { maxRetryTimeMs: limits.retryTimeMs, mayPass };
    return await retry(() => fetch(url, options, askedAt), { ...context, ...retries });
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    const { absent, garbled } = error;
    if (garbled) throw new DownloadError(`${kind}: ${error.message}`, { garbled });
    throw new DownloadError(error.message + (error.untrusted ? howToTrust(location) : ""), { absent });
  }
}

/** An overloaded object store asks to be asked again, and a connection may break once. */
function mayPass(error: unknown): boolean {
  return error instanceof FetchError && error.transient;
}

/** What an admin can do about a certificate that the runner does not trust. */
function howToTrust(location: StorageLocation | undefined): string {
  const { objectStorage, config } = location?.spec ?? {};
  // The runner has no right to Secrets.
  if (objectStorage?.caCertRef !== undefined)
    return "; the location's caCertRef names a Secret that the runner may not read: mount that CA and name it in NODE_EXTRA_CA_CERTS";
  if (/^(1|t|true)$/i.test(config?.insecureSkipTLSVerify ?? ""))
    return "; the location's config.insecureSkipTLSVerify is for Velero alone, the runner trusts nobody unseen: set spec.objectStorage.caCert to the store's CA";
  return "";
}

/** Has Velero sign a URL. The request is removed afterwards; Velero would do so after ten minutes. */
async function signedUrl(
  context: RunnerContext,
  kind: DownloadKind,
  { object, name: under = object.metadata.name, limits }: DownloadSource,
): Promise<{ url: string; askedAt: Date }> {
  const name = `${object.metadata.name}-${randomUUID()}`;
  const { client, settings } = context;
  const target = { namespace: settings.veleroNamespace, name };
  const manifest = {
    metadata: { ...target, labels: ownershipLabels(object) },
    spec: { target: { kind, name: under } },
  };
  try {
    await retry(() => client.create(downloadRequests, manifest, context), context);
  } catch (error) {
    if (isUnknownKind(error)) throw new DownloadError(`this Velero knows no ${kind}`);
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

/** The CRD of an older Velero lists the kinds that it knows. A policy may refuse with the same code. */
function isUnknownKind(error: unknown): boolean {
  if (!(error instanceof ApiError) || !isInvalid(error)) return false;
  return error.causes.some(({ field, reason }) => field === "spec.target.kind" && reason === "FieldValueNotSupported");
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
