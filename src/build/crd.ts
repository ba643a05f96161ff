import * as z from "zod";
import { applicationInstances } from "../api/applicationInstance.ts";
import { MAX_TEXT, operations, specSchema, statusSchema } from "../api/operation.ts";
import { backupParametersSchema, restoreParametersSchema } from "../api/parameters.ts";
import { objectRules, specRules } from "../api/rules.ts";
import type { Resource } from "../kube/resource.ts";

/**
 * Generates the CustomResourceDefinitions from the zod schemas. At `kubectl apply` the API server refuses every wrong value for
 * which OpenAPI or CEL can express the rule. Rules about Backup and Restore bind only these: other Operations are upstream's.
 */

type JsonSchema = { [keyword: string]: unknown; properties?: Record<string, JsonSchema> | undefined };

const operationColumns = [
  { name: "Type", type: "string", jsonPath: ".spec.type" },
  { name: "Target", type: "string", jsonPath: ".spec.targetRef.name" },
  { name: "Phase", type: "string", jsonPath: ".status.phase" },
  { name: "Progress", type: "integer", jsonPath: ".status.progress.percent", description: "percent" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "Engine object", type: "string", jsonPath: ".status.engineRef.name", priority: 1 },
  { name: "Backup", type: "string", jsonPath: ".status.outputs.backupName", priority: 1 },
  { name: "Job", type: "string", jsonPath: ".status.runner.jobName", priority: 1 },
  { name: "Reason", type: "string", jsonPath: ".status.reason", priority: 1 },
  { name: "Duration", type: "string", jsonPath: ".status.duration", priority: 1 },
];

/** The Operation's definition: a superset of upstream's, so that everything that upstream stores stays valid and complete. */
export function operationCrd(): object {
  const spec = structural(specSchema);
  const parameters = {
    type: "object",
    description:
      "The parameters of this type of Operation. The dispatcher checks the values further before it does anything.",
    properties: parameterTypes(),
    "x-kubernetes-preserve-unknown-fields": true,
    maxProperties: MAX_PARAMETERS,
  };
  return definition(operations, { shortNames: ["op"], categories: ["vworkspace"] }, operationColumns, {
    description: "A request to back up or restore an application.",
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: { ...spec, properties: { ...spec.properties, parameters }, "x-kubernetes-validations": specRules },
      // Of an object without a status, tools that wait for objects of any kind would say that it is done.
      status: { ...structural(statusSchema), default: { observedGeneration: -1 } },
    },
    "x-kubernetes-validations": objectRules,
  });
}

/** For clusters without upstream's operator. Every ApplicationInstance of upstream's is valid, and nothing is pruned. */
export function applicationInstanceCrd(): object {
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const columns = [
    { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ];
  return definition(applicationInstances, { shortNames: ["appinst"] }, columns, {
    description: "An installed application: what an Operation backs up or restores.",
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: open,
      status: open,
    },
  });
}

function definition(resource: Resource, names: object, additionalPrinterColumns: object[], schema: object): object {
  const { group, kind, plural, version } = resource;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, labels: { "app.kubernetes.io/part-of": "operation-runner" } },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), ...names },
      scope: "Namespaced",
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns,
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}

// Far more than an Operation of any type needs, and far less than an object can hold.
const MAX_PARAMETERS = 256;
const MAX_ENTRIES = 512;

/**
 * The types and bounds of the parameters of Backup and Restore. Further rules would also bind upstream's Operations, which have
 * their parameters in the same field. Of unknown parameters the API server can bound only the number: neither OpenAPI nor CEL
 * sees what the schema does not name.
 */
function parameterTypes(): Record<string, JsonSchema> {
  const declared = {
    ...structural(backupParametersSchema).properties,
    ...structural(restoreParametersSchema).properties,
  };
  return Object.fromEntries(Object.entries(declared).map(([name, schema]) => [name, boundedType(schema)]));
}

function boundedType(schema: JsonSchema): JsonSchema {
  const { type, items, properties, additionalProperties } = schema;
  const fields = Object.entries(properties ?? {}).map(([name, field]) => [name, boundedType(field)]);
  return {
    type,
    ...(type === "string" && { maxLength: MAX_TEXT }),
    // Unknown fields must not be pruned: a later check reports them.
    ...(properties && { properties: Object.fromEntries(fields), "x-kubernetes-preserve-unknown-fields": true }),
    ...(isSchema(items) && { items: boundedType(items), maxItems: MAX_ENTRIES }),
    ...(isSchema(additionalProperties) && { additionalProperties: boundedType(additionalProperties) }),
    ...(type === "object" && { maxProperties: MAX_ENTRIES }),
  };
}

/** A zod schema as a structural OpenAPI schema: what is loose in zod is pruned unless its metadata says otherwise. */
function structural(schema: z.ZodType): JsonSchema {
  const made: unknown = z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    // The parameters, whose schema allows anything, are described separately.
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      const additional = jsonSchema.additionalProperties;
      if (typeof additional === "boolean" || (isSchema(additional) && Object.keys(additional).length === 0)) {
        delete jsonSchema.additionalProperties;
      }
      delete jsonSchema.propertyNames;
      // zod adds the bound of JavaScript's whole numbers, which means nothing to a user of the API.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  if (!isSchema(made)) throw new TypeError("zod made no schema");
  return made;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
