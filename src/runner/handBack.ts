import { isCancelled } from "../api/cancel.ts";
import { cutBytes } from "../api/message.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import type { VeleroObject } from "../api/velero.ts";
import { isNotFound } from "../kube/errors.ts";
import { attemptIn } from "./attempt/attempt.ts";
import { writeStatus } from "./attempt/writeStatus.ts";
import type { RunnerContext } from "./context.ts";
import { LocationUnavailable } from "./errors.ts";
import { remove } from "./object/remove.ts";
import { locationNameOf } from "./object/storageLocation.ts";
import { veleroResource } from "./object/veleroObject.ts";

/**
 * Gives an attempt that has to wait for a storage location back to the dispatcher, which admits it again when the location
 * is available: until then it holds neither slot nor namespace. What Velero refused never ran, so its name may be used
 * again. Nothing is given back that another run has gone on with, or that is to be cancelled.
 * docs/contract.md#hand-back.
 */
export async function handBack(
  context: RunnerContext,
  operation: VeleroOperation,
  { message, location, refused }: LocationUnavailable,
): Promise<void> {
  context.logger.info({ location }, message);
  await writeStatus(context, attemptIn(operation), (latest) => {
    const { status } = latest;
    // Another run has made an object, or a cancel has come: both are for this run to go on with.
    if (status?.engineRef?.uid !== refused?.metadata.uid || isCancelled(latest)) return {};
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
  // At the end of its ttl a Backup would take an older one of its name along.
  if (refused !== undefined) await remove(context, veleroResource(operation.spec.type), refused, false);
}

const NOT_ADMITTED = "not admitted yet";

/** What there is to wait for when Velero has refused an object for its location. */
export async function refusedForLocation(context: RunnerContext, refused: VeleroObject): Promise<LocationUnavailable> {
  const location = await locationNameOf(context, refused).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  const what = location === undefined ? "its storage location" : `BackupStorageLocation "${location}"`;
  const message = `Velero did not take the ${refused.kind}, because ${what} is not available`;
  return new LocationUnavailable(message, location, refused);
}
