import * as z from "zod";

/** What Velero did with each volume of a backup: BackupVolumeInfos (Velero 1.13 and later). Velero, internal/volume. */

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
  // Go encodes a nil list as null.
  .nullable()
  .transform((infos) => infos ?? []);

export type VolumeInfo = z.output<typeof volumeInfosSchema>[number];

/**
 * The bytes of all volumes. It is a lower bound: native snapshots report no size, and Velero may omit a volume. A
 * snapshot whose data was moved counts once, by the moved data.
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
 * How many snapshots {@link volumeBytes} could not count: native ones, and CSI snapshots that Velero looked at before
 * the snapshot controller had reported their size, or that Velero lost from its list. Velero warns of neither.
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

/** The reasons that mean that somebody left a volume out on purpose: a label, a resource policy. */
const EXCLUDED = /exclude-from-backup|resource polic/i;
/**
 * Velero says this of every volume of a pod that it does not copy, whether or not an annotation of the pod opts out.
 */
const OPTED_OUT = /opted out/i;
const FILE_SYSTEM = "podvolume";

/** How a Backup saves volume data, by its spec once Velero has filled in its own defaults. */
export interface VolumeMethods {
  readonly snapshotVolumes?: boolean | null | undefined;
  readonly defaultVolumesToFsBackup?: boolean | null | undefined;
}

/**
 * The volumes whose data is missing in the backup although nobody excluded it, as `namespace/claim (why)`. Velero calls
 * such a backup Completed all the same. Two sorts are left out on purpose and not listed: volumes that a label, an
 * annotation or a resource policy excludes; and, if the Backup asks for no volume data at all (neither by snapshot nor
 * by file system), volumes for which no pod asks.
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
  // If the Backup copies all file systems, only an annotation opts out. Otherwise Velero says "opted out" of every
  // volume that did not opt in.
  if (defaultVolumesToFsBackup === true) return OPTED_OUT.test(skippedReason);
  if (snapshotVolumes !== false) return false;
  const asked = skippedReason.split(";").filter((part) => part.trim().startsWith(`${FILE_SYSTEM}:`));
  return asked.every((part) => OPTED_OUT.test(part));
}

function nameOf(info: VolumeInfo): string {
  if (info.pvcName !== undefined) return `${info.pvcNamespace ?? ""}/${info.pvcName}`;
  return info.pvName ?? "an unnamed volume";
}
