import { cutList } from "../../api/cutList.ts";
import { counted, placesOf } from "../../api/message.ts";
import type { OperationType, VeleroOperation } from "../../api/operation.ts";
import type { Outputs } from "../../api/outputs.ts";
import { platformExclusions } from "../../api/platformExclusions.ts";
import { type Backup, isBackup, isRestorable, isRestore, type VeleroObject } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";
import {
  type Archive,
  archiveOf,
  DOWNLOAD_LIMITS,
  DownloadError,
  type DownloadLimits,
  type DownloadSource,
  downloadJson,
  type OrMissing,
} from "../download/downloadRequest.ts";
import { NO_GZIP } from "../download/fetch.ts";
import { movedBytes, movementsOf } from "../follow/dataMovement.ts";
import { itemsOf } from "../follow/progress.ts";
import { redactedNotes } from "../hideVeleroMessages.ts";
import { locationNameOf, locationOf } from "../object/locationOf.ts";
import { doubtfulResources } from "../object/unknownResources.ts";
import { restoreOutputs } from "./restoreOutputs.ts";
import { listResults, resultsSchema } from "./results.ts";
import { skippedVolumes, unsizedSnapshots, volumeBytes, volumeInfosSchema } from "./volumes.ts";

/**
 * The outputs that are known as soon as Velero's object exists.
 *
 * @param excludedByPlatform what no Restore may restore on this platform; the outputs name those of them that this
 *   Restore really excludes
 */
export function knownOutputs(
  type: OperationType,
  object: VeleroObject,
  excludedByPlatform: readonly string[],
): Outputs {
  const { name } = object.metadata;
  const location = object.spec?.storageLocation;
  const { excludedResources } = object.spec ?? {};
  const excluded =
    type === "Restore" && Array.isArray(excludedResources)
      ? excludedByPlatform.filter((resource) => excludedResources.includes(resource))
      : [];
  return {
    ...(type === "Backup" ? { backupName: name } : { restoreName: name, ...sourceOf(object) }),
    ...(typeof location === "string" && location !== "" && { storageLocation: location }),
    ...(excluded.length > 0 && { excludedResources: excluded }),
  };
}

/** The Backup that a Restore restores, by its name in Velero. */
function sourceOf({ spec }: VeleroObject): Outputs {
  const { backupName } = spec ?? {};
  return typeof backupName === "string" && backupName !== "" ? { backupName } : {};
}

/**
 * Collects the outputs of an attempt whose Velero object has reached a terminal phase. A file that cannot be read fails
 * nothing: `outputs.missing` says which one, and why. Only a Completed or PartiallyFailed object has its files read:
 * Velero finds files by name, and those under the name of a failed backup may be an older backup's.
 *
 * @throws the context's signal's reason, and nothing else
 */
export async function collectOutputs(
  context: RunnerContext,
  operation: VeleroOperation,
  object: VeleroObject,
  limits: DownloadLimits = DOWNLOAD_LIMITS,
): Promise<Outputs> {
  const { type } = operation.spec;
  const outputs: Outputs = {
    ...knownOutputs(type, object, platformExclusions(context.settings.restoreExcludedResources)),
    ...counts(type, object),
  };
  if (!isRestorable(object.status?.phase)) return outputs;

  const missing: string[] = [];
  const unreadable: string[] = [];
  /** Runs one step. If it fails, the outputs list its subject as missing or unreadable. */
  const orMissing: OrMissing = async (what, step) => {
    try {
      return await step();
    } catch (error) {
      context.signal.throwIfAborted();
      context.logger.warn({ err: error, what }, "could not collect this output");
      if (error instanceof DownloadError && error.garbled) unreadable.push(error.message);
      else missing.push(`${what}: ${publicMessage(error)}`);
      return undefined;
    }
  };

  const source: DownloadSource = { object, location: locationOf(context, object), limits };
  const location = await orMissing("storage location", () => locationNameOf(context, object));
  // One large file after the other, to save memory.
  const warnings = await orMissing("warnings", () => warningsOf(context, type, source));
  const restored = isRestore(object) ? await restoreOutputs(context, { ...source, object }, orMissing) : undefined;
  const sizes = isBackup(object) ? await volumeOutputs(context, { ...source, object }, orMissing) : undefined;
  const unknown = (await orMissing("unknownResources", () => doubtfulResources(context, operation, object))) ?? [];
  if (location !== undefined) outputs.storageLocation = location;
  if (warnings !== undefined) outputs.warnings = warnings.entries;
  if (warnings?.unlisted !== undefined) missing.push(warnings.unlisted);
  if (sizes?.unsized !== undefined) missing.push(sizes.unsized);
  return {
    ...outputs,
    ...sizes?.outputs,
    ...restored,
    ...(unknown.length > 0 && { unknownResources: cutList(unknown, placesOf(type, object), MAX_LISTED_BYTES) }),
    ...(unreadable.length > 0 && { unreadableFiles: unreadable.sort() }),
    ...(missing.length > 0 && { missing: missing.sort() }),
  };
}

/**
 * The message of an error, as tenants may read it. What the API server or this program says stays in the log: it may
 * name parts of the cluster that tenants need not know.
 */
function publicMessage(error: unknown): string {
  return error instanceof DownloadError ? error.message : "could not be read; the log of the runner's Job says why";
}

function counts(type: OperationType, object: VeleroObject): Outputs {
  const items = itemsOf(object);
  const { warnings = 0, errors = 0 } = object.status ?? {};
  return {
    ...(items && { [type === "Backup" ? "backupItemCount" : "restoreItemCount"]: String(items.completed) }),
    warningCount: String(warnings),
    errorCount: String(errors),
  };
}

interface Warnings {
  readonly entries: string[];
  /** Set when Velero counted more errors than it listed. */
  readonly unlisted?: string;
}

async function warningsOf(context: RunnerContext, type: OperationType, source: DownloadSource): Promise<Warnings> {
  const { status } = source.object;
  const { warnings = 0, errors = 0 } = status ?? {};
  if (warnings === 0 && errors === 0) return { entries: [] };
  const whereToFind = placesOf(type, source.object);
  const results = await downloadJson(context, `${type}Results`, source, resultsSchema);
  const withErrors = status?.phase === "PartiallyFailed";
  const entries = listResults(results, { withErrors });
  const listed = entries.length - listResults(results, { withErrors: false }).length;
  return {
    entries: cutList(redactedNotes(context, entries, source.object), whereToFind),
    // Velero counts the errors of work that goes on after its main run, but does not list them.
    ...(withErrors &&
      listed < errors && { unlisted: `errors: Velero counted ${errors} and listed ${listed}: ${whereToFind}` }),
  };
}

interface VolumeOutputs {
  readonly outputs: Outputs;
  /** Set when there are snapshots for which Velero reports no size. */
  readonly unsized?: string;
}

/** The size of the archive and of the volumes (a lower bound), and the volumes that are not in the backup. */
async function volumeOutputs(
  context: RunnerContext,
  source: DownloadSource & { readonly object: Backup },
  orMissing: OrMissing,
): Promise<VolumeOutputs> {
  const [archive, volumes] = await Promise.all([
    orMissing("backupSizeBytes: size of the archive", () => readableArchive(context, source)),
    orMissing("skippedVolumes and sizes of snapshots", () =>
      downloadJson(context, "BackupVolumeInfos", source, volumeInfosSchema),
    ),
  ]);
  // Without volume infos (Velero 1.12, or the store is out of reach), the sizes of copied volumes are still known,
  // those of snapshots are not.
  const bytes =
    volumes === undefined
      ? await orMissing("backupSizeBytes: sizes of the volumes", async () => {
          return movedBytes(await movementsOf(context, source.object)).total;
        })
      : volumeBytes(volumes);
  const unsized = volumes === undefined ? 0 : unsizedSnapshots(volumes, attemptedSnapshots(source.object));
  const skipped = skippedVolumes(volumes ?? [], source.object.spec ?? {});
  return {
    outputs: {
      ...(archive !== undefined && bytes !== undefined && { backupSizeBytes: String(archive.size + bytes) }),
      ...(skipped.length > 0 && {
        skippedVolumes: cutList(skipped, placesOf("Backup", source.object), MAX_LISTED_BYTES),
      }),
    },
    ...(unsized > 0 && { unsized: `backupSizeBytes: Velero reports no size for ${counted(unsized, "snapshot")}` }),
  };
}

/** @throws as archiveOf; DownloadError when the archive does not begin as gzip */
async function readableArchive(context: RunnerContext, source: DownloadSource): Promise<Archive> {
  const archive = await archiveOf(context, source);
  if (!archive.isGzip) throw new DownloadError(`BackupContents: ${NO_GZIP}`, { garbled: true });
  return archive;
}

const MAX_LISTED_BYTES = 32 * 1024;

function attemptedSnapshots({ status }: VeleroObject): number {
  const attempted = status?.csiVolumeSnapshotsAttempted;
  return typeof attempted === "number" ? attempted : 0;
}
