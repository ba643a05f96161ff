import { Reason } from "../../api/reasons.ts";
import type { StorageLocation } from "../../api/velero.ts";
import { quoted } from "../message.ts";
import { type Check, textParameter } from "./check.ts";

/** Velero tells of a missing location as of a missing default: said better here. docs/contract.md, Admission 7. */
export const storageLocationAvailable: Check = (operation, world) => {
  if (operation.spec.type !== "Backup") return undefined;
  const name = textParameter(operation, "storageLocation");
  const why = name === undefined ? undefined : unavailable(world.storageLocation(name));
  if (name === undefined || why === undefined) return undefined;
  const message = `BackupStorageLocation ${quoted(name)} ${why}`;
  return { verdict: "blocked", reason: Reason.storageLocationUnavailable, message };
};

function unavailable(location: StorageLocation | undefined): string | undefined {
  if (location === undefined) return "does not exist";
  const { phase = "", message = "" } = location.status ?? {};
  // Velero takes exactly this phase (1.16 and later); an empty one is not validated yet.
  if (phase !== "Available") return `is ${phase === "" ? "not validated yet" : phase}${message && `: ${message}`}`;
  return location.spec?.accessMode === "ReadOnly" ? "is ReadOnly" : undefined;
}
