import { counted } from "../api/message.ts";
import type { VeleroObject } from "../api/velero.ts";
import type { RunnerContext } from "./context.ts";

// Velero's own words of what went wrong name buckets, roles and hosts. An admin may keep them from tenants by the setting
// hideVeleroMessages: an Operation then says where they stand, and counts them. docs/contract.md#veleros-messages.

type Who = Pick<RunnerContext, "settings">;

/** The object as its Operation may tell of it. */
export function redacted<T extends VeleroObject>({ settings }: Who, object: T | undefined): T | undefined {
  const { failureReason = "", validationErrors } = object?.status ?? {};
  const isSilent = failureReason === "" && (validationErrors ?? []).length === 0;
  if (object === undefined || !settings.hideVeleroMessages || isSilent) return object;
  const words = whereTheyStand(object);
  return {
    ...object,
    status: { ...object.status, failureReason: words, validationErrors: validationErrors && [words] },
  };
}

/** A list of Velero's notes, or of its errors, as an Operation may tell it. */
export function redactedNotes({ settings }: Who, notes: readonly string[], object: VeleroObject): string[] {
  if (!settings.hideVeleroMessages || notes.length === 0) return [...notes];
  return [`${counted(notes.length, "note")} of Velero's: ${whereTheyStand(object)}`];
}

/** Why the API server refused an object, as an Operation may tell it: policies and webhooks name what is the platform's. */
export function redactedRefusal(
  { settings, logger }: Pick<RunnerContext, "settings" | "logger">,
  error: Error,
): string {
  logger.error({ err: error }, "the API server refused the Velero object");
  if (!settings.hideVeleroMessages) return error.message;
  return "the API server refused the object for Velero; an admin finds why in the log of the runner's Job";
}

function whereTheyStand({ kind, metadata: { name, namespace } }: VeleroObject): string {
  const resource = kind === "Restore" ? "restores.velero.io" : "backups.velero.io";
  return `Velero's words are kept from tenants here; an admin finds them by kubectl get ${resource} ${name} -n ${namespace} -o yaml and in the log of the runner's Job`;
}
