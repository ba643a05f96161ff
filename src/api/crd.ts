import * as z from "zod";
import type { Resource } from "../kube/resource.ts";
import { applicationInstances } from "./applicationInstance.ts";
import { ENGINE, MAX_TEXT, operations, SUPPORTED_TYPES, specSchema, statusSchema } from "./operation.ts";
import { backupParametersSchema, restoreParametersSchema } from "./parameters.ts";

/**
 * The CustomResourceDefinitions, made from the zod schemas. What OpenAPI or CEL can say is refused at `kubectl apply`.
 * Rules about Backup and Restore bind only those: other Operations are upstream's.
 */

type JsonSchema = { [keyword: string]: unknown; properties?: Record<string, JsonSchema> | undefined };

interface Rule {
  rule: string;
  message: string;
  optionalOldSelf?: boolean;
}

const ours = (spec: string) =>
  `${spec}.engine == '${ENGINE}' && ${spec}.type in [${SUPPORTED_TYPES.map((type) => `'${type}'`).join(", ")}]`;
const ifOurs = (rule: string) => `!(${ours("self")}) || (${rule})`;
/** Guards a rule about a parameter by its presence. */
const ifGiven = (name: string, rule: string) =>
  ifOurs(`!has(self.parameters) || !has(self.parameters.${name}) || (${rule})`);

const objectRules: Rule[] = [
  {
    // Names never change, so only a new object is asked; what upstream stored stays writable.
    rule: `oldSelf.hasValue() || !has(self.spec) || !(${ours("self.spec")}) || size(self.metadata.name) <= 63`,
    optionalOldSelf: true,
    message: "metadata.name: 63 characters at most, because Velero keeps it in labels",
  },
  {
    rule: `!has(oldSelf.spec) || !(${ours("oldSelf.spec")}) || has(self.spec)`,
    message: "spec is immutable; create a new Operation instead",
  },
];

const unchanged = ["type", "engine", "targetRef"].map((field) => `self.${field} == oldSelf.${field}`).join(" && ");

const specRules: Rule[] = [
  {
    rule:
      `!((${ours("self")}) || (${ours("oldSelf")})) || (${unchanged} && ` +
      "has(self.parameters) == has(oldSelf.parameters) && " +
      "(!has(self.parameters) || self.parameters == oldSelf.parameters))",
    message: "spec is immutable but for approvals; create a new Operation instead",
  },
  {
    rule:
      `!(${ours("oldSelf")}) || !has(oldSelf.approvals) || !has(oldSelf.approvals.required) || ` +
      "!oldSelf.approvals.required || " +
      "(has(self.approvals) && has(self.approvals.required) && self.approvals.required)",
    message: "spec.approvals.required: once true it stays true",
  },
  {
    rule: ifOurs(
      "self.targetRef.kind == 'ApplicationInstance' && self.targetRef.apiVersion.startsWith('apps.vworkspace.io/') && " +
        "size(self.targetRef.name) > 0",
    ),
    message: "spec.targetRef: must name an ApplicationInstance of apps.vworkspace.io",
  },
  {
    rule: ifOurs(
      "self.type != 'Restore' || (has(self.parameters) && has(self.parameters.backupName) && " +
        "size(self.parameters.backupName) > 0)",
    ),
    message: "spec.parameters.backupName: required for a Restore",
  },
  {
    rule: ifGiven(
      "ttl",
      "self.parameters.ttl.matches('^[+]?([0-9]+([.][0-9]*)?(h|ms|m|s|us|µs|μs|ns))+$') && " +
        "duration(self.parameters.ttl) > duration('0s')",
    ),
    message: 'spec.parameters.ttl: must be a Go duration greater than 0, such as "72h"',
  },
  {
    rule: ifGiven("existingResourcePolicy", "self.parameters.existingResourcePolicy in ['none', 'update']"),
    message: 'spec.parameters.existingResourcePolicy: must be "none" or "update"',
  },
];

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

/** The Operation's definition: a superset of upstream's, so that whatever upstream stored stays valid and whole. */
export function operationCrd(): object {
  const spec = structural(specSchema);
  const parameters = {
    type: "object",
    description: "What the type of the Operation takes. Values are checked further before anything is done.",
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
      status: structural(statusSchema),
    },
    "x-kubernetes-validations": objectRules,
  });
}

/** For clusters without upstream's operator: any ApplicationInstance of upstream's is valid, and nothing is pruned. */
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

// Far more than anybody has a use for, whatever the type of the Operation, and far less than an object can hold.
const MAX_PARAMETERS = 256;
const MAX_ENTRIES = 512;

/**
 * The types of both kinds' parameters with bounds, and nothing else: other Operations keep theirs in the same place. Of what
 * is unknown the API server can bound the number alone: neither OpenAPI nor CEL sees what the schema does not name.
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
    // What is unknown must reach the check that tells of it.
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
    override: ({ jsonSchema }) => {
      const additional = jsonSchema.additionalProperties;
      if (typeof additional === "boolean" || (isSchema(additional) && Object.keys(additional).length === 0)) {
        delete jsonSchema.additionalProperties;
      }
      delete jsonSchema.propertyNames;
      // What zod adds for whole numbers in JavaScript says nothing to a user of the API.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  if (!isSchema(made)) throw new TypeError("zod made no schema");
  return made;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
