import * as z from "zod";
import { operationCrd } from "./crd.ts";

interface Schema {
  readonly type?: string | undefined;
  readonly format?: string | undefined;
  readonly description?: string | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly items?: Schema | undefined;
  readonly required?: readonly string[] | undefined;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.looseObject({
    type: z.string().optional(),
    format: z.string().optional(),
    description: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    properties: z.record(z.string(), schema).optional(),
    items: schema.optional(),
    required: z.array(z.string()).optional(),
  }),
);
const crdSchema = z.object({
  spec: z.object({ versions: z.tuple([z.object({ schema: z.object({ openAPIV3Schema: schema }) })]) }),
});

/** docs/api.md: every field of an Operation, made from the CRD. */
export function renderApiReference(): string {
  const [{ schema: version }] = crdSchema.parse(operationCrd()).spec.versions;
  const { spec, status } = version.openAPIV3Schema.properties ?? {};
  return `# The Operation, field by field

Generated from the CRD by \`npm run generate\`; do not edit. \`kubectl explain operation.spec\` shows the same.
What each parameter means is in the [README](../README.md), what the status promises in the [contract](contract.md#the-operation).

\`apiVersion: ops.vworkspace.io/v1alpha1\`, \`kind: Operation\`

## spec

${table(spec)}

## status

${table(status)}
`;
}

function table(root: Schema | undefined): string {
  const rows = root === undefined ? [] : rowsOf(root, "");
  return ["| Field | Type |  |", "| --- | --- | --- |", ...rows].join("\n");
}

function rowsOf({ properties = {}, required = [] }: Schema, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const told = [required.includes(name) ? "Required." : "", field.description ?? "", allowed(field)].filter(Boolean);
    const row = `| \`${path}\` | ${typeOf(field)} | ${told.join(" ")} |`;
    return [row, ...rowsOf(field, `${path}.`), ...(field.items ? rowsOf(field.items, `${path}[].`) : [])];
  });
}

function typeOf({ type = "any", format, items }: Schema): string {
  if (type === "array") return `list of ${items === undefined ? "any" : typeOf(items)}`;
  return format === undefined ? type : `${type} (${format})`;
}

function allowed({ enum: values }: Schema): string {
  return values === undefined ? "" : `One of ${values.map((value) => `\`${String(value)}\``).join(", ")}.`;
}
