import { quoted } from "../../../api/message.ts";
import { Reason } from "../../../api/reasons.ts";
import { type Check, textParameter } from "../hindrance.ts";
import { backupLocation } from "./storageLocation.ts";

/**
 * An admin may open a storage location to some namespaces only. For a Backup that names none, Velero's default location must be
 * open to its namespace. A rejected Backup waits, since the admin may still open the location.
 * docs/contract.md#open-locations-and-classes.
 */
export const storageLocationOpen: Check = (operation, world) => {
  if (operation.spec.type !== "Backup") return undefined;
  const { namespace } = operation.metadata;
  const named = textParameter(operation, "storageLocation");
  const location = backupLocation(operation, world);
  const { storageLocations, storageLocationsClosed } = world.settings;
  if (isOpen(location, namespace, { to: storageLocations, closed: storageLocationsClosed })) return undefined;
  const what = named === undefined ? `missing, and the default ${quoted(location)}` : quoted(location);
  return {
    effect: "rejected",
    reason: Reason.storageLocationForbidden,
    message: `spec.parameters.storageLocation: ${what} is not open to namespace ${namespace}; name one that is`,
  };
};

/** The same for the VolumeSnapshotClass, if the Backup names one. Which class Velero takes otherwise is the admin's choice. */
export const snapshotClassOpen: Check = (operation, world) => {
  if (operation.spec.type !== "Backup") return undefined;
  const { namespace } = operation.metadata;
  const name = textParameter(operation, "csiSnapshotClassName");
  const { snapshotClasses, snapshotClassesClosed } = world.settings;
  if (name === undefined || isOpen(name, namespace, { to: snapshotClasses, closed: snapshotClassesClosed })) {
    return undefined;
  }
  return {
    effect: "rejected",
    reason: Reason.snapshotClassForbidden,
    message: `spec.parameters.csiSnapshotClassName: ${quoted(name)} is not open to namespace ${namespace}; name one that is`,
  };
};

interface Openness {
  readonly to: Readonly<Record<string, readonly string[]>>;
  /** Whether what `to` does not list is open to nobody, instead of to everybody. */
  readonly closed: boolean;
}

function isOpen(name: string, namespace: string, { to, closed }: Openness): boolean {
  const open = Object.hasOwn(to, name) ? to[name] : undefined;
  return open === undefined ? !closed : open.includes(namespace);
}
