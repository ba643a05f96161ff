import * as z from "zod";
import { lenient, lenientNumber } from "../kube/lenient.ts";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { conditionSchema } from "../kube/resources.ts";
import { Annotation } from "./labels.ts";

/**
 * Upstream's description of an installed application, which an Operation backs up or restores. The dispatcher writes
 * only its annotations (pauseTarget.ts). It is read leniently, because the cluster's CRD may allow anything: a target
 * that exists must never count as missing.
 */
export const applicationInstanceSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        // Kept as it is: for the check of the release's namespace, a value that is no text is a wrong namespace, not a
        // missing one.
        release: lenient(z.looseObject({ namespace: z.unknown() })),
      }),
    ),
    status: lenient(
      z.looseObject({
        observedGeneration: lenientNumber,
        // A value that is no list must not count as "no condition Ready", which would mean that the target is ready.
        conditions: z
          .array(conditionSchema.catch({}))
          .nullish()
          .catch([{ type: "Ready", message: "its status.conditions is not a list" }]),
      }),
    ),
  }),
);

export type ApplicationInstance = z.infer<typeof applicationInstanceSchema>;

export const applicationInstances: Resource<ApplicationInstance> = {
  group: "apps.vworkspace.io",
  version: "v1alpha1",
  plural: "applicationinstances",
  kind: "ApplicationInstance",
  namespaced: true,
  schema: applicationInstanceSchema,
};

/** Whether the dispatcher has paused this target. */
export function isPaused({ metadata: { annotations } }: ApplicationInstance): boolean {
  return annotations?.[Annotation.pausedBy] !== undefined;
}
