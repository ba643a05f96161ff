import type { EngineRef, OperationType } from "../../api/operation.ts";
import { backups, restores, type VeleroObject } from "../../api/velero.ts";
import { apiVersionOf, type Resource } from "../../kube/resource.ts";
import type { RunnerContext } from "../context.ts";
import { find } from "./find.ts";

/** The API resource of Velero's objects of that type. */
export function veleroResource(type: OperationType): Resource<VeleroObject> {
  return type === "Backup" ? backups : restores;
}

/** Reads a Velero object by name; undefined when there is none. */
export async function getVelero(
  context: RunnerContext,
  type: OperationType,
  name: string,
): Promise<VeleroObject | undefined> {
  return await find(context, veleroResource(type), { namespace: context.settings.veleroNamespace, name });
}

/** The reference for status.engineRef. Without a uid it is an intent: the runner is about to create that object. */
export function engineRef(context: RunnerContext, type: OperationType, name: string, uid?: string): EngineRef {
  const resource = veleroResource(type);
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    namespace: context.settings.veleroNamespace,
    name,
    ...(uid !== undefined && { uid }),
  };
}
