import type { VeleroObject } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";
import {
  type Archive,
  archiveOf,
  DOWNLOAD_LIMITS,
  DownloadError,
  type DownloadLimits,
} from "../download/downloadRequest.ts";
import { locationOf } from "../object/locationOf.ts";
import type { ArchiveOwner } from "./cancelStep.ts";

/**
 * A file that is older than the backup's run by more than this is an older backup's, in milliseconds. All times are
 * whole seconds.
 */
const OLDER_MS = 2_000;
/**
 * A file that is younger than the backup's run by more than this is the backup's own, in milliseconds. Three clocks are
 * compared, and a runner that took an older backup's files for its own would destroy them. So in between the owner is
 * unknown, and the files stay.
 */
const OWN_MS = 10_000;

/**
 * Finds out whose files the object store holds under the name of a failed backup. Velero deletes files by name. So
 * before the runner asks for that, it must be certain that they are not an older backup's, which were written before
 * this one began.
 *
 * @throws the context's signal's reason, and nothing else
 */
export async function findArchiveOwner(
  context: RunnerContext,
  backup: VeleroObject,
  limits: DownloadLimits = DOWNLOAD_LIMITS,
): Promise<ArchiveOwner> {
  try {
    const location = locationOf(context, backup);
    return judgeByAge(await archiveOf(context, { object: backup, location, limits }), backup);
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof DownloadError && error.absent) return "own";
    context.logger.warn({ err: error }, "cannot tell whose files the object store holds under this name");
    return "unknown";
  }
}

/**
 * Compares ages rather than times, because the object store's clock may differ from the cluster's. The age of the run
 * reaches from its start (by Velero's clock) to the request (by the API server's clock); it is at most the age of the
 * object, which is by the API server's clock alone. The runner's own clock is not used.
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
