import { mustCancel } from "../../api/cancel.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { failedValidationForLocation, type VeleroObject } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import { isUntouched } from "../attempt/attempt.ts";
import type { RunnerContext } from "../context.ts";
import { attemptSelector, isMadeFor } from "./plan.ts";
import { isNameTakenInStore } from "./storeCollision.ts";
import { getVelero, veleroResource } from "./veleroObject.ts";

/** What a run finds when it looks for its attempt's Velero object. */
export type FoundObject =
  | { readonly kind: "found"; readonly object: VeleroObject }
  /** The status records it, and it is gone. It is never created again. */
  | { readonly kind: "vanished" }
  /**
   * It is still to be created, once `toRemove` is gone: objects that Velero did not run, because the object store held
   * a backup of that name or the storage location was unavailable.
   */
  | { readonly kind: "none"; readonly toRemove: readonly VeleroObject[] };

/**
 * Finds the attempt's Velero object by the recorded uid or, after a crash between creating and recording it, by its
 * labels. For a cancelled attempt it also finds the Backup that Velero has recreated from the object store under
 * another uid, because the cancel must remove that one as well. docs/contract.md#create-once;
 * docs/velero-facts.md#data-loss-traps.
 */
export async function findVeleroObject(context: RunnerContext, operation: VeleroOperation): Promise<FoundObject> {
  const ref = operation.status?.engineRef;
  if (ref?.uid !== undefined && ref.name !== undefined) {
    const object = await getVelero(context, operation.spec.type, ref.name);
    const isRecreated = object !== undefined && mustCancel(operation) && isMadeFor(operation, object.metadata.labels);
    return object?.metadata.uid === ref.uid || isRecreated ? { kind: "found", object } : { kind: "vanished" };
  }
  // A Restore is looked for all the same: the account of a Job from the wrong template is refused here, before it has
  // written anything.
  if (operation.spec.type === "Backup" && isUntouched(operation)) return { kind: "none", toRemove: [] };
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: attemptSelector(operation) };
  const resource = veleroResource(operation.spec.type);
  const { items } = await retry(() => context.client.list(resource, selection, context), context);
  const usable = items.filter((item) => !failedValidationForLocation(item));
  const object =
    usable.find((item) => item.metadata.name === ref?.name) ?? usable.find((item) => !isNameTakenInStore(item));
  return object === undefined ? { kind: "none", toRemove: items } : { kind: "found", object };
}
