import { counted } from "../api/message.ts";
import type { VeleroObject } from "../api/velero.ts";
import type { RunnerContext } from "./context.ts";

// Velero's messages about failures name buckets, roles and hosts. An admin may hide them from tenants by the setting
// hideVeleroMessages: an Operation then only counts them, and says where to read them.
// The dispatcher hides the message of a storage location itself (dispatcher/admission/checks/storageLocation.ts).
// docs/contract.md#veleros-messages.

type Settings = Pick<RunnerContext, "settings">;

/** The object with its failure messages as the Operation may show them. */
export function redacted<T extends VeleroObject>({ settings }: Settings, object: T | undefined): T | undefined {
  const { failureReason = "", validationErrors } = object?.status ?? {};
  const isSilent = failureReason === "" && (validationErrors ?? []).length === 0;
  if (object === undefined || !settings.hideVeleroMessages || isSilent) return object;
  const message = whereToRead(object);
  return {
    ...object,
    status: { ...object.status, failureReason: message, validationErrors: validationErrors && [message] },
  };
}

/** Velero's warnings or errors as the Operation may show them. */
export function redactedNotes({ settings }: Settings, notes: readonly string[], object: VeleroObject): string[] {
  if (!settings.hideVeleroMessages || notes.length === 0) return [...notes];
  return [`${counted(notes.length, "message")} from Velero: ${whereToRead(object)}`];
}

/**
 * Why the API server refused an object, as the Operation may show it: the message of a policy or webhook may name parts
 * of the platform.
 */
export function redactedRefusal(
  { settings, logger }: Pick<RunnerContext, "settings" | "logger">,
  error: Error,
): string {
  logger.error({ err: error }, "the API server refused the Velero object");
  if (!settings.hideVeleroMessages) return error.message;
  return "the API server refused the object for Velero; an admin finds the reason in the log of the runner's Job";
}

function whereToRead({ kind, metadata: { name, namespace } }: VeleroObject): string {
  const resource = kind === "Restore" ? "restores.velero.io" : "backups.velero.io";
  return `Velero's messages are hidden from tenants here; an admin finds them by kubectl get ${resource} ${name} -n ${namespace} -o yaml and in the log of the runner's Job`;
}
