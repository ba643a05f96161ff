import * as z from "zod";
import { lenient, lenientList, lenientNumber, lenientText } from "../../kube/lenient.ts";
import { kubeObjectSchema } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import * as resources from "../../kube/resources.ts";

// What nothing but `doctor` looks at.

const deploymentSchema = kubeObjectSchema.extend({
  spec: lenient(
    z.looseObject({
      replicas: lenientNumber,
      template: lenient(
        z.looseObject({
          spec: lenient(
            z.looseObject({
              containers: lenientList(
                z.looseObject({
                  name: lenientText,
                  image: lenientText,
                  args: lenientList(z.string()),
                  env: lenientList(z.looseObject({ name: lenientText, value: lenientText })),
                }),
              ),
            }),
          ),
        }),
      ),
    }),
  ),
  status: lenient(z.looseObject({ availableReplicas: lenientNumber })),
});

const serverStatusSchema = kubeObjectSchema.extend({
  status: lenient(z.looseObject({ phase: lenientText, serverVersion: lenientText })),
});

export type Deployment = z.infer<typeof deploymentSchema>;
export type ServerStatusRequest = z.infer<typeof serverStatusSchema>;

/** With more of their content than the dispatcher keeps. */
export const deployments: Resource<Deployment> = { ...resources.deployments, schema: deploymentSchema };

export const serverStatusRequests: Resource<ServerStatusRequest> = {
  group: "velero.io",
  version: "v1",
  plural: "serverstatusrequests",
  kind: "ServerStatusRequest",
  namespaced: true,
  schema: serverStatusSchema,
};
