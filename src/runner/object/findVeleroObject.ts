import { isCancelled } from "../../api/cancel.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { isRefusedForLocation, type VeleroObject } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { isNameCollision } from "./nameCollision.ts";
import { attemptSelector, isMadeFor } from "./plan.ts";
import { getVelero, veleroResource } from "./veleroObject.ts";

/** What there is of the Velero object of an attempt. */
export type FoundObject =
  | { readonly kind: "found"; readonly object: VeleroObject }
  /** It was recorded, and is gone: it is never made again. */
  | { readonly kind: "vanished" }
  /** Still to be made, after removing what Velero refused: its name was taken in the object store, or that was out of reach. */
  | { readonly kind: "none"; readonly toRemove: readonly VeleroObject[] };

/**
 * Finds the Velero object of the attempt: by the uid that was recorded, else, after a crash between creating and
 * recording, by its labels. A cancelled attempt's is also what Velero has since made anew of it from the object store,
 * under another uid: it is to be removed all the same.
 * docs/contract.md#create-once; docs/velero-facts.md#data-loss-traps.
 */
export async function findVeleroObject(context: RunnerContext, operation: VeleroOperation): Promise<FoundObject> {
  const ref = operation.status?.engineRef;
  if (ref?.uid !== undefined && ref.name !== undefined) {
    const object = await getVelero(context, operation.spec.type, ref.name);
    const isAnew = object !== undefined && isCancelled(operation) && isMadeFor(operation, object.metadata.labels);
    return object?.metadata.uid === ref.uid || isAnew ? { kind: "found", object } : { kind: "vanished" };
  }
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: attemptSelector(operation) };
  const resource = veleroResource(operation.spec.type);
  const { items } = await retry(() => context.client.list(resource, selection, context), context);
  const usable = items.filter((item) => !isRefusedForLocation(item));
  const object =
    usable.find((item) => item.metadata.name === ref?.name) ?? usable.find((item) => !isNameCollision(item));
  return object === undefined ? { kind: "none", toRemove: items } : { kind: "found", object };
}
