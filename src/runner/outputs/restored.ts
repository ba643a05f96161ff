import * as z from "zod";
import { inOrder } from "../../api/order.ts";
import type { VolumeInfo } from "./volumes.ts";

/** What Velero did with each item and each volume of a restore. Velero, pkg/restore/request.go and internal/volume. */

/** RestoreResourceList: for each kind, such as `v1/ConfigMap`, a list of entries such as `org-a/settings(created)`. */
export const restoredListSchema = z
  .record(z.string(), z.array(z.string()).nullish())
  // Go encodes a nil map as null.
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
  /** Undefined when this version of Velero reports a result that is not known here. */
  readonly result: ItemResult | undefined;
}

/** All that a restore looked at, by kind and name. */
export function restoredItems(list: z.output<typeof restoredListSchema>): RestoredItem[] {
  return Object.entries(list)
    .sort(([a], [b]) => inOrder(a, b))
    .flatMap(([kind, entries]) => (entries ?? []).map((entry) => ({ kind, ...parsed(entry) })));
}

function parsed(entry: string): Pick<RestoredItem, "name" | "result"> {
  const [, name = entry, reported] = /^(.*)\(([^()]*)\)$/.exec(entry) ?? [];
  return { name, result: ITEM_RESULTS.find((result) => result === reported) };
}

/** What the Restore's own spec says about its volumes. */
export interface VolumeRequest {
  readonly namespaceMapping: Readonly<Record<string, string>>;
  /**
   * The Restore's `spec.restorePVs`: false excludes snapshots, but not the data that was copied from a pod's file
   * system.
   */
  readonly restorePVs: boolean | null | undefined;
}

const CLAIM_KIND = "v1/PersistentVolumeClaim";

export function isClaim({ kind }: RestoredItem): boolean {
  return kind === CLAIM_KIND;
}

/**
 * The claims whose data is in the backup but was not restored, as `namespace/claim (why)`. Velero calls such a restore
 * Completed all the same: it fills only volumes that it creates itself, and volumes that are mounted by a pod which it
 * creates.
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
  const claims = new Map(items.filter(isClaim).map(({ name, result }) => [name, result]));
  const done = new Set(filled.map(({ pvcNamespace, pvcName }) => `${pvcNamespace}/${pvcName}`));
  const leftOut = backedUp.filter(hasData).flatMap((volume) => {
    const { pvcName = "", pvcNamespace = "", backupMethod } = volume;
    const namespace = Object.hasOwn(namespaceMapping, pvcNamespace) ? namespaceMapping[pvcNamespace] : pvcNamespace;
    const claim = `${namespace}/${pvcName}`;
    // The restore did not ask for this claim, or it has filled the volume.
    if (!claims.has(claim) || done.has(claim)) return [];
    if (restorePVs === false && backupMethod !== "PodVolumeBackup") return [];
    const result = claims.get(claim);
    // Velero lists a restored native snapshot only if its claim was bound at once.
    if (backupMethod === "NativeSnapshot" && result === "created") return [];
    return [`${claim} (${reasonOf(result)})`];
  });
  return leftOut.sort();
}

function hasData({ skipped, result, pvcName }: VolumeInfo): boolean {
  return !skipped && result !== "failed" && pvcName !== undefined;
}

function reasonOf(result: ItemResult | undefined): string {
  if (result === "failed") return "its claim could not be restored";
  return result === "created" ? "no pod that mounts it was restored" : "its claim existed before";
}
