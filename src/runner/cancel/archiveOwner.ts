import type { VeleroObject } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";
import {
  type Archive,
  archiveOf,
  DOWNLOAD_LIMITS,
  DownloadError,
  type DownloadLimits,
} from "../download/downloadRequest.ts";
import { locationOf } from "../object/storageLocation.ts";
import type { ArchiveOwner } from "./cancelStep.ts";

/** A file that existed for so much longer than the backup runs is an older one's, in milliseconds: all are whole seconds. */
const OLDER_MS = 2_000;
/**
 * A file that came so much later than the run began is its own, in milliseconds. Three clocks have a say, and who takes an
 * older backup's files for its own destroys them: what lies between is nobody's for certain, and stays.
 */
const OWN_MS = 10_000;

/**
 * Whose files lie under the name of a failed backup. Velero finds files by name, so before it is asked to delete them it
 * must be certain that they are not an older backup's: those were written before this one began.
 *
 * @throws the context's signal's reason, and nothing else
 */
export async function findArchiveOwner(
  context: RunnerContext,
  backup: VeleroObject,
  limits: DownloadLimits = DOWNLOAD_LIMITS,
): Promise<ArchiveOwner> {
  try {
    const location = await locationOf(context, backup);
    return judgeByAge(await archiveOf(context, { object: backup, location, limits }), backup);
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof DownloadError && error.absent) return "own";
    context.logger.warn({ err: error }, "cannot tell whose files the object store holds under this name");
    return "unknown";
  }
}

/**
 * Compares ages, because the object store's clock need not be the cluster's. The run's age is from Velero's clock to the
 * API server's, and never more than the object's own, which is by the API server's alone. This process's clock has no say.
 */
export function judgeByAge(
  archive: Pick<Archive, "ageMs" | "askedAt">,
  { metadata, status }: VeleroObject,
): ArchiveOwner {
  const created = Date.parse(metadata.creationTimestamp);
  const began = Math.max(created, Date.parse(status?.startTimestamp ?? metadata.creationTimestamp));
  if (archive.ageMs === undefined || Number.isNaN(began)) return "unknown";
  const aheadMs = archive.ageMs - (archive.askedAt.getTime() - began);
  if (aheadMs > OLDER_MS) return "older";
  return aheadMs < -OWN_MS ? "own" : "unknown";
}
