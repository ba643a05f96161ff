import { quoted } from "../../../api/message.ts";
import type { VeleroOperation } from "../../../api/operation.ts";
import { Reason } from "../../../api/reasons.ts";
import { locationHindrance } from "../../../api/velero.ts";
import { type AdmissionWorld, type Check, textParameter } from "../hindrance.ts";

/** The location that Velero's server takes if none is marked as the default, unless its flags name another one. */
const VELERO_DEFAULT_LOCATION = "default";

/**
 * Velero fails a Backup or Restore for good if its storage location is unavailable when it looks; here the Operation waits instead.
 * Only a runner can find the location of a Restore's source, so this checks a Restore only after a runner has recorded it.
 * docs/contract.md#storage-location.
 */
export const storageLocationAvailable: Check = (operation, world) => {
  const { type } = operation.spec;
  const name = type === "Backup" ? backupLocation(operation, world) : operation.status?.runner?.storageLocation;
  if (name === undefined) return undefined;
  const location = world.storageLocation(name);
  const why = locationHindrance(location, type);
  // The name may be wrong if it is only a guess, because Velero's server may use another one: Velero decides.
  if (why === undefined || (location === undefined && isGuess(operation, world))) return undefined;
  const reported = location?.status?.phase === "Available" ? "" : (location?.status?.message ?? "");
  const detail = reported !== "" && world.settings.hideVeleroMessages ? "Velero's log says why" : reported;
  const message = `BackupStorageLocation ${quoted(name)} ${why}${detail && `: ${detail}`}`;
  return { effect: "blocked", reason: Reason.storageLocationUnavailable, message };
};

/** The location that Velero will take for a Backup: the one it names, or the default as Velero finds it. */
export function backupLocation(operation: VeleroOperation, world: AdmissionWorld): string {
  return knownLocation(operation, world) ?? VELERO_DEFAULT_LOCATION;
}

function isGuess(operation: VeleroOperation, world: AdmissionWorld): boolean {
  return operation.spec.type === "Backup" && knownLocation(operation, world) === undefined;
}

/** A marked default comes before the location that Velero took earlier: it may have been marked since. */
function knownLocation(operation: VeleroOperation, world: AdmissionWorld): string | undefined {
  return (
    textParameter(operation, "storageLocation") ??
    world.defaultStorageLocation()?.metadata.name ??
    operation.status?.runner?.storageLocation
  );
}
