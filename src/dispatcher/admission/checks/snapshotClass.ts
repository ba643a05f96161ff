import { quoted } from "../../../api/message.ts";
import { Reason } from "../../../api/reasons.ts";
import { type Check, textParameter } from "../hindrance.ts";

/**
 * If the named class is missing, Velero silently takes another one. Here the Operation waits for the class; if it vanishes
 * after the admission, the runner fails the Operation (runner/object/prepare.ts). docs/contract.md#snapshot-class.
 */
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
