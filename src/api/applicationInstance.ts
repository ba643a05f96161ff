import * as z from "zod";
import { lenient } from "../kube/lenient.ts";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { conditionSchema } from "../kube/resources.ts";
import { Annotation } from "./labels.ts";

/**
 * Upstream's description of an installed application: what an Operation backs up or restores. Its annotations alone are
 * ever written (pause.ts); it is read leniently: the cluster's CRD may take anything, and a target that exists is never said not to.
 */
export const applicationInstanceSchema = z.lazy(() =>
  kubeObjectSchema.extend({
    spec: lenient(
      z.looseObject({
        // What is no text is no namespace of its own either: the check has to see it.
        release: lenient(z.looseObject({ namespace: z.unknown() })),
      }),
    ),
    status: lenient(
      z.looseObject({
        observedGeneration: lenient(z.number()),
        // What is no list says nothing of readiness, least of all that there is no such condition.
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

/** Whether a target carries a pause of the dispatcher's. */
export function isPaused({ metadata: { annotations } }: ApplicationInstance): boolean {
  return annotations?.[Annotation.pausedBy] !== undefined;
}
