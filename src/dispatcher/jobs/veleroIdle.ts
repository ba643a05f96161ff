import { workOf } from "../../api/announcements.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { timestamp } from "../../api/status.ts";
import { type VeleroObject, veleroStage } from "../../api/velero.ts";
import type { Decision, World } from "../state/world.ts";

/** Between two Backups Velero works on nothing for a moment, and a busy API server makes that longer. */
const PATIENCE_MS = 10_000;

/**
 * Reports by an Event that Velero leaves an Operation's object waiting though it works on nothing else of the type. Its queue
 * misses the moment at times, and looks again within a minute; or its server does not run. docs/contract.md#queue.
 *
 * @returns undefined where Velero is at work, or has the object at work
 */
export function reportIdleVelero(operation: VeleroOperation, world: World): Decision | undefined {
  const object = world.veleroObject(operation);
  const idleSince = world.veleroIdleSince(operation.spec.type);
  if (object === undefined || idleSince === undefined) return undefined;
  if (veleroStage(object.status?.phase) !== "inLine" || object.metadata.deletionTimestamp !== undefined)
    return undefined;
  const began = Math.max(idleSince.getTime(), Date.parse(object.metadata.creationTimestamp));
  const due = new Date(began + PATIENCE_MS);
  if (world.now < due) return { lookAgainAt: due };
  // A moment that stays the same for as long as it lasts: it is reported once.
  const announcement = {
    type: "Warning",
    reason: "VeleroIdle",
    action: "Run",
    related: operation.status === undefined ? undefined : workOf(operation.status),
    message: messageOf(object),
    at: timestamp(due),
  } as const;
  return { action: { kind: "announce", announcement } };
}

function messageOf({ kind, metadata, status }: VeleroObject): string {
  const what = `${kind} ${metadata.namespace}/${metadata.name}`;
  if (status?.phase === "Queued") {
    return `Velero leaves ${what} Queued though it works on no other ${kind}: its own queue has missed its turn, and looks again within a minute`;
  }
  return `Velero has not begun with ${what}, and works on no other ${kind}: see whether its server runs`;
}
