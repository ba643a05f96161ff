import { mustCancel } from "../api/cancel.ts";
import { cutBytes } from "../api/message.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import type { VeleroObject } from "../api/velero.ts";
import { isNotFound } from "../kube/errors.ts";
import { attemptIn } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import type { RunnerContext } from "./context.ts";
import { LocationUnavailable } from "./errors.ts";
import { locationNameOf } from "./object/locationOf.ts";
import { remove } from "./object/remove.ts";
import { veleroResource } from "./object/veleroObject.ts";

/**
 * Hands an attempt that must wait for a storage location back to the dispatcher, which admits it again when the
 * location is available. Until then the attempt takes up neither a slot nor its namespace. An object that failed
 * validation never ran, so the attempt may use its name again. Nothing is handed back if another run has continued the
 * attempt, or if the attempt is being cancelled. docs/contract.md#hand-back.
 */
export async function handBack(
  context: RunnerContext,
  operation: VeleroOperation,
  { message, location, refused }: LocationUnavailable,
): Promise<void> {
  context.logger.info({ location }, message);
  await writeStatus(context, attemptIn(operation), (latest) => {
    const { status } = latest;
    // Another run has created an object, or a cancel has come: this run continues with that instead.
    if (status?.engineRef?.uid !== refused?.metadata.uid || mustCancel(latest)) return {};
    const { storageLocation: _before, ...runner } = status?.runner ?? {};
    return {
      phase: "Pending",
      engineRef: undefined,
      outputs: undefined,
      runner: { ...runner, ...(location !== undefined && { storageLocation: location }) },
      conditions: [
        { type: ConditionType.accepted, status: "Unknown", reason: Reason.pending, message: NOT_ADMITTED },
        {
          type: ConditionType.blocked,
          status: "True",
          reason: Reason.storageLocationUnavailable,
          message: cutBytes(message),
        },
        { type: ConditionType.running, status: "False", reason: Reason.pending, message: NOT_ADMITTED },
      ],
    };
  });
  // At the end of its ttl, Velero would delete the files under this Backup's name, which may be an older backup's.
  if (refused !== undefined) await remove(context, veleroResource(operation.spec.type), refused, false);
}

const NOT_ADMITTED = "not admitted yet";

/** Finds out which location to wait for, when an object has failed validation because of it. */
export async function locationUnavailableFor(
  context: RunnerContext,
  refused: VeleroObject,
): Promise<LocationUnavailable> {
  const location = await locationNameOf(context, refused).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  const what = location === undefined ? "its storage location" : `BackupStorageLocation "${location}"`;
  const message = `Velero did not run the ${refused.kind}, because ${what} is not available`;
  return new LocationUnavailable(message, location, refused);
}
