import * as z from "zod";

/** What became of each volume of a backup: BackupVolumeInfos (Velero 1.13 and later). Velero, internal/volume. */

const sized = z.looseObject({ size: z.number().optional() }).nullish();

export const volumeInfosSchema = z
  .array(
    z.looseObject({
      pvcName: z.string().optional(),
      pvcNamespace: z.string().optional(),
      pvName: z.string().optional(),
      backupMethod: z.string().optional(),
      snapshotDataMoved: z.boolean().optional(),
      skipped: z.boolean().optional(),
      skippedReason: z.string().optional(),
      csiSnapshotInfo: sized,
      snapshotDataMovementInfo: sized,
      pvbInfo: sized,
    }),
  )
  // Go writes a list that was never filled as null.
  .nullable()
  .transform((infos) => infos ?? []);

export type VolumeInfo = z.output<typeof volumeInfosSchema>[number];

/**
 * Bytes of all volumes, a lower bound: native snapshots tell no size, and Velero may leave a volume out. A snapshot whose
 * data was moved counts once, as what was moved.
 */
export function volumeBytes(infos: readonly VolumeInfo[]): number {
  return infos.reduce((sum, info) => sum + bytesOf(info), 0);
}

function bytesOf(info: VolumeInfo): number {
  switch (info.backupMethod) {
    case "PodVolumeBackup":
      return info.pvbInfo?.size ?? 0;
    case "CSISnapshot":
      return (info.snapshotDataMoved ? info.snapshotDataMovementInfo?.size : info.csiSnapshotInfo?.size) ?? 0;
    default:
      return 0;
  }
}

/**
 * How many snapshots {@link volumeBytes} could not count: native ones, and those of CSI which Velero looked at before the
 * snapshot controller had told their size, or lost from its list (it notes neither as a warning).
 *
 * @param attempted the Backup's `status.csiVolumeSnapshotsAttempted`
 */
export function unsizedSnapshots(infos: readonly VolumeInfo[], attempted = 0): number {
  const taken = infos.filter(({ skipped, snapshotDataMoved }) => !skipped && !snapshotDataMoved);
  const csi = taken.filter(({ backupMethod }) => backupMethod === "CSISnapshot");
  const native = taken.filter(({ backupMethod }) => backupMethod === "NativeSnapshot");
  const sized = csi.filter((info) => bytesOf(info) > 0);
  return native.length + Math.max(csi.length, attempted) - sized.length;
}

/** Reasons by which somebody left this volume out on purpose: a label, a pod's annotation, a resource policy. */
const EXCLUDED = /exclude-from-backup|opted out|resource polic/i;
/** The ways of snapshotting, as a skipped volume's reason names them: `approach: reason;`. */
const SNAPSHOT_APPROACHES: ReadonlySet<string> = new Set(["csiSnapshot", "volumeSnapshot", "vsphereSnapshot"]);

/**
 * The volumes whose data is not in the backup though nobody asked for that, as `namespace/claim (why)`. Velero calls such
 * a backup Completed all the same. Left out on purpose are volumes that a label, an annotation or a resource policy
 * excludes, and with `snapshotVolumes: false` those that only a snapshot could have saved.
 *
 * @param snapshotVolumes the Backup's `spec.snapshotVolumes`
 * @returns in alphabetical order
 */
export function skippedVolumes(infos: readonly VolumeInfo[], snapshotVolumes: boolean | null | undefined): string[] {
  return infos
    .filter((info) => info.skipped && !isIntended(info.skippedReason ?? "", snapshotVolumes))
    .map((info) => `${nameOf(info)} (${(info.skippedReason ?? "").replace(/;\s*$/, "") || "no reason given"})`)
    .sort();
}

function isIntended(skippedReason: string, snapshotVolumes: boolean | null | undefined): boolean {
  if (EXCLUDED.test(skippedReason)) return true;
  if (snapshotVolumes !== false) return false;
  const approaches = skippedReason.split(";").map((part) => part.split(":")[0]?.trim() ?? "");
  return approaches.every((approach) => approach === "" || SNAPSHOT_APPROACHES.has(approach));
}

function nameOf(info: VolumeInfo): string {
  if (info.pvcName !== undefined) return `${info.pvcNamespace ?? ""}/${info.pvcName}`;
  return info.pvName ?? "an unnamed volume";
}
