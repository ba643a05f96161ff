import * as z from "zod";
import type { VolumeInfo } from "./volumes.ts";

/** What became of each item and each volume of a restore. Velero, pkg/restore/request.go and internal/volume. */

/** RestoreResourceList: by kind, such as `v1/ConfigMap`, a list of `namespace/name(what became of it)`. */
export const restoredListSchema = z
  .record(z.string(), z.array(z.string()).nullish())
  // Go writes a map that was never filled as null.
  .nullable()
  .transform((list) => list ?? {});

/** RestoreVolumeInfo: the volumes into which data was restored. */
export const restoredVolumesSchema = z
  .array(z.looseObject({ pvcName: z.string().optional(), pvcNamespace: z.string().optional() }))
  .nullable()
  .transform((infos) => infos ?? []);

export const ITEM_RESULTS = ["created", "updated", "skipped", "failed"] as const;

export type ItemResult = (typeof ITEM_RESULTS)[number];

export interface RestoredItem {
  readonly kind: string;
  /** `namespace/name`, or the name alone. */
  readonly name: string;
  /** Undefined where a Velero says something else than those here did. */
  readonly fate: ItemResult | undefined;
}

/** All that a restore looked at, by kind and name. */
export function restoredItems(list: z.output<typeof restoredListSchema>): RestoredItem[] {
  return Object.entries(list)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([kind, entries]) => (entries ?? []).map((entry) => ({ kind, ...parsed(entry) })));
}

function parsed(entry: string): Pick<RestoredItem, "name" | "fate"> {
  const [, name = entry, told] = /^(.*)\(([^()]*)\)$/.exec(entry) ?? [];
  return { name, fate: ITEM_RESULTS.find((fate) => fate === told) };
}

/** What the Restore's own spec says of its volumes. */
export interface VolumeRequest {
  readonly namespaceMapping: Readonly<Record<string, string>>;
  /** The Restore's `spec.restorePVs`: false keeps snapshots out, but not what was copied from a pod's file system. */
  readonly restorePVs: boolean | null | undefined;
}

const CLAIM_KIND = "v1/PersistentVolumeClaim";

export function isClaim({ kind }: RestoredItem): boolean {
  return kind === CLAIM_KIND;
}

/**
 * The claims of a restore whose data the backup has, and the restore left out, as `namespace/claim (why)`. Velero calls such
 * a restore Completed all the same: it fills only volumes that it makes, and those that a pod mounts which it makes.
 *
 * @param backedUp the BackupVolumeInfos of the backup
 * @param filled the claims of RestoreVolumeInfo
 * @returns in alphabetical order
 */
export function leftOutVolumes(
  items: readonly RestoredItem[],
  backedUp: readonly VolumeInfo[],
  filled: z.output<typeof restoredVolumesSchema>,
  { namespaceMapping, restorePVs }: VolumeRequest,
): string[] {
  const claims = new Map(items.filter(isClaim).map(({ name, fate }) => [name, fate]));
  const done = new Set(filled.map(({ pvcNamespace, pvcName }) => `${pvcNamespace}/${pvcName}`));
  const leftOut = backedUp.filter(hasData).flatMap((volume) => {
    const { pvcName = "", pvcNamespace = "", backupMethod } = volume;
    const namespace = Object.hasOwn(namespaceMapping, pvcNamespace) ? namespaceMapping[pvcNamespace] : pvcNamespace;
    const claim = `${namespace}/${pvcName}`;
    // What was not to be restored is in no list.
    if (!claims.has(claim) || done.has(claim)) return [];
    if (restorePVs === false && backupMethod !== "PodVolumeBackup") return [];
    const fate = claims.get(claim);
    // Of these Velero tells the claim only where it was bound at once.
    if (backupMethod === "NativeSnapshot" && fate === "created") return [];
    return [`${claim} (${reasonOf(fate)})`];
  });
  return leftOut.sort();
}

function hasData({ skipped, result, pvcName }: VolumeInfo): boolean {
  return !skipped && result !== "failed" && pvcName !== undefined;
}

function reasonOf(fate: ItemResult | undefined): string {
  if (fate === "failed") return "its claim could not be restored";
  return fate === "created" ? "no pod that mounts it was restored" : "its claim was there before";
}
