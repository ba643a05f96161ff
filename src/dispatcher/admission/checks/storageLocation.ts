import { quoted } from "../../../api/message.ts";
import type { VeleroOperation } from "../../../api/operation.ts";
import { Reason } from "../../../api/reasons.ts";
import { locationHindrance } from "../../../api/velero.ts";
import type { World } from "../../state/world.ts";
import { type Check, textParameter } from "../hindrance.ts";

/** The location that Velero's server falls back to where none is marked as the default, unless it was told another. */
const VELERO_DEFAULT_LOCATION = "default";

/**
 * Velero refuses for good what it cannot store or read at the moment: here it waits. Only a runner can tell from where a
 * Restore reads, so that is judged once one has said so. docs/contract.md#storage-location.
 */
export const storageLocationAvailable: Check = (operation, world) => {
  const { type } = operation.spec;
  const name = type === "Backup" ? backupLocation(operation, world) : operation.status?.runner?.storageLocation;
  if (name === undefined) return undefined;
  const location = world.storageLocation(name);
  const why = locationHindrance(location, type);
  // Where nothing says which it is, Velero's server may have another name for it: it is asked.
  if (why === undefined || (location === undefined && isGuess(operation, world))) return undefined;
  const said = location?.status?.phase === "Available" ? "" : (location?.status?.message ?? "");
  const words = said !== "" && world.settings.hideVeleroMessages ? "Velero's log says why" : said;
  const message = `BackupStorageLocation ${quoted(name)} ${why}${words && `: ${words}`}`;
  return { effect: "blocked", reason: Reason.storageLocationUnavailable, message };
};

/** The location that Velero will take for a Backup: the one it names, or the default as Velero finds it. */
export function backupLocation(operation: VeleroOperation, world: World): string {
  return knownLocation(operation, world) ?? VELERO_DEFAULT_LOCATION;
}

function isGuess(operation: VeleroOperation, world: World): boolean {
  return operation.spec.type === "Backup" && knownLocation(operation, world) === undefined;
}

/** What Velero took for this Operation before counts for less than a default: that may have been marked since. */
function knownLocation(operation: VeleroOperation, world: World): string | undefined {
  return (
    textParameter(operation, "storageLocation") ??
    world.defaultStorageLocation()?.metadata.name ??
    operation.status?.runner?.storageLocation
  );
}
