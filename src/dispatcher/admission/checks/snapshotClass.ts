import { quoted } from "../../../api/message.ts";
import { Reason } from "../../../api/reasons.ts";
import { type Check, textParameter } from "../hindrance.ts";

/** Velero falls through silently to another class where the named one is missing. docs/contract.md#snapshot-class. */
export const snapshotClassExists: Check = (operation, world) => {
  if (operation.spec.type !== "Backup") return undefined;
  const name = textParameter(operation, "csiSnapshotClassName");
  const snapshotClass = name === undefined ? undefined : world.snapshotClass(name);
  if (name === undefined || snapshotClass?.driver !== undefined) return undefined;
  return {
    effect: "blocked",
    reason: Reason.missingVolumeSnapshotClass,
    message:
      snapshotClass === undefined
        ? `no VolumeSnapshotClass ${quoted(name)} in this cluster`
        : `VolumeSnapshotClass ${quoted(name)} names no driver`,
  };
};
