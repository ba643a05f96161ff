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
      /** `failed` where there is no data; not told for every method. */
      result: z.string().optional(),
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

/** Reasons by which somebody left this volume out on purpose: a label, a resource policy. */
const EXCLUDED = /exclude-from-backup|resource polic/i;
/** So Velero says of every claim of a pod whose data is not to be copied, with or without that pod's annotation. */
const OPTED_OUT = /opted out/i;
const FILE_SYSTEM = "podvolume";

/** How a Backup is to save the data of volumes, as its spec says it once Velero has filled in its own defaults. */
export interface VolumeMethods {
  readonly snapshotVolumes?: boolean | null | undefined;
  readonly defaultVolumesToFsBackup?: boolean | null | undefined;
}

/**
 * The volumes whose data is not in the backup though nobody asked for that, as `namespace/claim (why)`. Velero calls such
 * a backup Completed all the same. Left out on purpose are volumes that a label, an annotation or a resource policy
 * excludes, and all that no pod asked for when the Backup asked for no data: neither by snapshots nor by file system.
 *
 * @returns in alphabetical order
 */
export function skippedVolumes(infos: readonly VolumeInfo[], methods: VolumeMethods): string[] {
  return infos
    .filter((info) => info.skipped && !isIntended(info.skippedReason ?? "", methods))
    .map((info) => `${nameOf(info)} (${(info.skippedReason ?? "").replace(/;\s*$/, "") || "no reason given"})`)
    .sort();
}

/** A skipped volume's reason is a list of `approach: reason;`. */
function isIntended(skippedReason: string, { snapshotVolumes, defaultVolumesToFsBackup }: VolumeMethods): boolean {
  if (EXCLUDED.test(skippedReason)) return true;
  // Where all are copied, only an annotation opts out; else whatever did not opt in counts as opted out.
  if (defaultVolumesToFsBackup === true) return OPTED_OUT.test(skippedReason);
  if (snapshotVolumes !== false) return false;
  const asked = skippedReason.split(";").filter((part) => part.trim().startsWith(`${FILE_SYSTEM}:`));
  return asked.every((part) => OPTED_OUT.test(part));
}

function nameOf(info: VolumeInfo): string {
  if (info.pvcName !== undefined) return `${info.pvcNamespace ?? ""}/${info.pvcName}`;
  return info.pvName ?? "an unnamed volume";
}
