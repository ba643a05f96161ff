import * as z from "zod";
import { lenient, lenientNumber, lenientText } from "./lenient.ts";

/** Metadata as the API server sends it: every stored object has a name, a uid and a resourceVersion. */
const objectMetaSchema = z.looseObject({
  name: z.string(),
  namespace: lenientText,
  uid: z.string(),
  resourceVersion: z.string(),
  generation: lenientNumber,
  creationTimestamp: z.string().catch(""),
  deletionTimestamp: lenientText,
  labels: lenient(z.record(z.string(), z.string())),
  annotations: lenient(z.record(z.string(), z.string())),
  finalizers: lenient(z.array(z.string())),
});

/**
 * The fields of every stored object. Schemas of kinds extend this one (`kubeObjectSchema.extend({spec: ...})`). Fields
 * that no schema names are kept, so that an object can be written back whole.
 */
export const kubeObjectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: objectMetaSchema,
});

export type KubeObject = z.infer<typeof kubeObjectSchema>;

/** An object to create: the client adds apiVersion and kind, the API server the rest. */
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

/** The key of an object in caches and queues: `namespace/name`, or the name alone for an object without a namespace. */
export function keyOf(object: { metadata: { name: string; namespace?: string | undefined } }): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
