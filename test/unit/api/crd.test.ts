import { expect, test } from "vitest";
import * as z from "zod";
import { operationCrd } from "../../../src/build/crd.ts";

type Schema = z.infer<typeof schemaSchema>;
const schemaSchema = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  maxLength: z.number().optional(),
  maxItems: z.number().optional(),
  maxProperties: z.number().optional(),
  get properties() {
    return z.record(z.string(), schemaSchema).optional();
  },
  get items() {
    return schemaSchema.optional();
  },
  get additionalProperties() {
    return schemaSchema.optional();
  },
});
const crdSchema = z.looseObject({
  spec: z.looseObject({
    versions: z.tuple([z.looseObject({ schema: z.looseObject({ openAPIV3Schema: schemaSchema }) })]),
  }),
});

/** The fields that may be of any size. */
function unbounded(schema: Schema, path: string): string[] {
  const { type, properties = {}, items, additionalProperties } = schema;
  const inner = [
    ...Object.entries(properties).map(([name, field]) => [`${path}.${name}`, field] as const),
    ...(items === undefined ? [] : [[`${path}[]`, items] as const]),
    ...(additionalProperties === undefined ? [] : [[`${path}.*`, additionalProperties] as const]),
  ];
  const open =
    (type === "string" && schema.enum === undefined && schema.maxLength === undefined) ||
    (type === "array" && schema.maxItems === undefined) ||
    ((additionalProperties !== undefined || "x-kubernetes-preserve-unknown-fields" in schema) &&
      schema.maxProperties === undefined);
  return [...(open ? [path] : []), ...inner.flatMap(([at, field]) => unbounded(field, at))];
}

test("nothing that a tenant writes into an Operation's spec is unbounded", () => {
  const [version] = crdSchema.parse(operationCrd()).spec.versions;
  const spec = version.schema.openAPIV3Schema.properties?.spec;
  expect(spec?.properties).toHaveProperty("parameters");
  expect(unbounded(spec ?? {}, "spec")).toEqual([]);
});
