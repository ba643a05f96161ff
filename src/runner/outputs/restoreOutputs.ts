import { cutList } from "../../api/cutList.ts";
import { placesOf } from "../../api/message.ts";
import type { Outputs } from "../../api/outputs.ts";
import type { Restore } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";
import { DownloadError, type DownloadSource, downloadJson, type OrMissing } from "../download/downloadRequest.ts";
import {
  type ItemResult,
  isClaim,
  leftOutVolumes,
  type RestoredItem,
  restoredItems,
  restoredListSchema,
  restoredVolumesSchema,
} from "./restored.ts";
import { volumeInfosSchema } from "./volumes.ts";

/** The most that one list of items may take in a status, in bytes of JSON. */
const MAX_ITEMS_BYTES = 16 * 1024;

export interface RestoreSource extends DownloadSource {
  readonly object: Restore;
}

/**
 * What Velero did with the items of a restore, and which volumes the restore left out. docs/contract.md#restored-items.
 */
export async function restoreOutputs(
  context: RunnerContext,
  source: RestoreSource,
  orMissing: OrMissing,
): Promise<Outputs> {
  const items = await orMissing("what was created, updated, skipped", () => itemsOfRestore(context, source));
  if (items === undefined) return {};
  const leftOut = await orMissing("skippedVolumes", () => leftOutBy(context, source, items));
  const whereToFind = placesOf("Restore", source.object);
  const named = (result: ItemResult): string[] => {
    const those = items.filter((item) => item.result === result).map(({ kind, name }) => `${kind} ${name}`);
    return cutList(those, whereToFind, MAX_ITEMS_BYTES);
  };
  const count = (result: ItemResult): string => String(items.filter((item) => item.result === result).length);
  const lists = { updatedItems: named("updated"), skippedItems: named("skipped"), failedItems: named("failed") };
  return {
    restoreCreatedCount: count("created"),
    restoreUpdatedCount: count("updated"),
    restoreSkippedCount: count("skipped"),
    restoreFailedCount: count("failed"),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...(leftOut !== undefined &&
      leftOut.length > 0 && { skippedVolumes: cutList(leftOut, whereToFind, MAX_ITEMS_BYTES) }),
  };
}

async function itemsOfRestore(context: RunnerContext, source: RestoreSource): Promise<RestoredItem[]> {
  const items = restoredItems(await downloadJson(context, "RestoreResourceList", source, restoredListSchema));
  if (items.some(({ result }) => result === undefined)) {
    throw new DownloadError("this version of Velero reports the items in an unknown form");
  }
  return items;
}

/** Reads no file if the restore has no claims, and only one file if the backup has no data of these claims. */
async function leftOutBy(
  context: RunnerContext,
  source: RestoreSource,
  items: readonly RestoredItem[],
): Promise<string[]> {
  const { backupName = "", namespaceMapping, restorePVs } = source.object.spec ?? {};
  const request = { namespaceMapping: namespaceMapping ?? {}, restorePVs };
  if (!items.some(isClaim)) return [];
  const ofBackup = { ...source, name: backupName };
  const backedUp = await downloadJson(context, "BackupVolumeInfos", ofBackup, volumeInfosSchema);
  if (leftOutVolumes(items, backedUp, [], request).length === 0) return [];
  const filled = await downloadJson(context, "RestoreVolumeInfo", source, restoredVolumesSchema);
  return leftOutVolumes(items, backedUp, filled, request);
}
