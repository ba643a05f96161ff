import * as z from "zod";
import { lenient } from "./lenient.ts";

/** Metadata as the API server answers it: whatever it has stored has a name, a uid and a resourceVersion. */
const objectMetaSchema = z.looseObject({
  name: z.string(),
  namespace: lenient(z.string()),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: lenient(z.number()),
  creationTimestamp: z.string().catch(""),
  deletionTimestamp: lenient(z.string()),
  labels: lenient(z.record(z.string(), z.string())),
  annotations: lenient(z.record(z.string(), z.string())),
  finalizers: lenient(z.array(z.string())),
});

/**
 * What every stored object has. Schemas of kinds extend this shape (`kubeObjectSchema.extend({spec: ...})`); fields that
 * no schema names are kept, so that an object can be written back whole.
 */
export const kubeObjectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: objectMetaSchema,
});

export type KubeObject = z.infer<typeof kubeObjectSchema>;

/** An object still to be created: the client adds apiVersion and kind, the API server the rest. */
export interface Manifest {
  metadata: {
    name?: string;
    generateName?: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/** `namespace/name`, or the name alone for what lives in no namespace. The key of an object in caches and queues. */
export function keyOf(object: { metadata: { name: string; namespace?: string | undefined } }): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
