import * as z from "zod";
import { kubeObjectSchema } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { conditionSchema } from "./operation.ts";

/** Upstream's description of an installed application: what an Operation backs up or restores. Read, never written. */
export const applicationInstanceSchema = kubeObjectSchema.extend({
  spec: z
    .looseObject({
      release: z.looseObject({ name: z.string().optional(), namespace: z.string().optional() }).optional(),
    })
    .optional(),
  status: z.looseObject({ conditions: z.array(conditionSchema).optional() }).optional(),
});

export type ApplicationInstance = z.infer<typeof applicationInstanceSchema>;

export const applicationInstances: Resource<ApplicationInstance> = {
  group: "apps.vworkspace.io",
  version: "v1alpha1",
  plural: "applicationinstances",
  kind: "ApplicationInstance",
  namespaced: true,
  schema: applicationInstanceSchema,
};
