import { randomUUID } from "node:crypto";
import * as z from "zod";
import { type DownloadRequest, downloadRequests, storageLocations, type VeleroObject } from "../api/velero.ts";
import { isForbidden, isNotFound } from "../kube/errors.ts";
import { httpFetcher } from "../runner/download/fetch.ts";
import { awaitObject, TimedOut } from "./awaitObject.ts";
import type { Context } from "./context.ts";
import { writeOptions } from "./mutation.ts";

/** Velero's files about a Backup or Restore that people read, with the rights of who reads them. */
export type VeleroFile = "BackupLog" | "RestoreLog" | "BackupResourceList" | "BackupContents" | "RestoreResults";

/** What a Backup holds: the names of its objects (`namespace/name`, or the name alone) by kind, such as `apps/v1/Deployment`. */
export const resourceListSchema = z.record(z.string(), z.array(z.string()));

/** Velero has no other way to say that it cannot. In milliseconds. */
const URL_TIMEOUT_MS = 30_000;
const LIMITS = { timeoutMs: 120_000, maxBytes: 64 * 1024 * 1024, maxUnpackedBytes: 512 * 1024 * 1024 };

/**
 * Has Velero sign a URL, and reads the file.
 *
 * @throws Error in plain words where it cannot be had
 */
export async function readVeleroFile(kind: VeleroFile, object: VeleroObject, context: Context): Promise<string> {
  const { access, interrupt } = context;
  const { name, namespace = "" } = object.metadata;
  const target = { namespace, name: `${name}-${randomUUID()}` };
  const manifest = { metadata: target, spec: { target: { kind, name } } };
  await access.client.create(downloadRequests, manifest, writeOptions(context));
  try {
    const url = await signedUrl(target, context);
    const options = { ca: await authorityOf(object, context), signal: interrupt, limits: LIMITS };
    return await httpFetcher(process.env).gzip(url, options);
  } finally {
    // Velero would remove it after ten minutes.
    await access.client.delete(downloadRequests, target).catch(() => undefined);
  }
}

async function signedUrl(target: { namespace: string; name: string }, context: Context): Promise<string> {
  const isAnswered = (request: DownloadRequest | undefined) => request === undefined || !!request.status?.downloadURL;
  try {
    const done = await awaitObject(downloadRequests, target, isAnswered, URL_TIMEOUT_MS, context);
    if (done?.status?.downloadURL) return done.status.downloadURL;
    throw new Error("the DownloadRequest was deleted before Velero answered it");
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    throw new Error(
      `Velero gave no download URL within ${URL_TIMEOUT_MS / 1000} s: is its server running and the storage location available?`,
      { cause: error },
    );
  }
}

/** The object store's own certificate authority, where the location names one and the caller may read it. */
async function authorityOf(object: VeleroObject, { access, interrupt }: Context): Promise<string | undefined> {
  const location = "storageLocation" in Object(object.spec) ? Object(object.spec).storageLocation : undefined;
  if (typeof location !== "string" || location === "") return undefined;
  const at = { namespace: object.metadata.namespace, name: location };
  try {
    const { spec } = await access.client.get(storageLocations, at, { signal: interrupt });
    const ca = spec?.objectStorage?.caCert;
    return ca === undefined ? undefined : Buffer.from(ca, "base64").toString("utf8");
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return undefined;
    throw error;
  }
}
