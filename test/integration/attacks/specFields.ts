import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";

/** Every way in which the spec of an Operation can become another, made from the CRD: what it gains later is tried as well. */

export type Json = Record<string, unknown>;
type Path = readonly string[];

/** One change of a spec. Undefined stands for no spec at all. */
export interface SpecChange {
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  /** Where the two differ; empty for the whole spec. */
  readonly path: Path;
}

interface Schema {
  readonly type?: string | undefined;
  readonly required?: string[] | undefined;
  readonly properties?: Record<string, Schema> | undefined;
}

interface Field {
  readonly path: Path;
  readonly required: boolean;
  /** Two that differ. */
  readonly values: readonly [unknown, unknown];
}

const schemaSchema: z.ZodType<Schema> = z.looseObject({
  type: z.string().optional(),
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), schemaSchema).optional();
  },
});
const crdSchema = z.object({
  spec: z.object({
    versions: z.tuple([
      z.object({ schema: z.object({ openAPIV3Schema: z.object({ properties: z.object({ spec: schemaSchema }) }) }) }),
    ]),
  }),
});

const VALUES: Record<string, Field["values"]> = {
  boolean: [true, false],
  array: [["configmaps"], ["secrets"]],
  object: [{ "org-a": "org-a" }, {}],
};
const SPECIAL: Record<string, Field["values"]> = {
  ttl: ["1h", "2h"],
  existingResourcePolicy: ["none", "update"],
  type: ["Backup", "Restore"],
  engine: ["velero", "helm"],
  apiVersion: ["apps.vworkspace.io/v1alpha1", "apps.vworkspace.io/v1"],
  kind: ["ApplicationInstance", "Thing"],
  matchExpressions: [[{ key: "a", operator: "Exists" }], [{ key: "b", operator: "Exists" }]],
  matchLabels: [{ a: "1" }, { a: "2" }],
};
const OF_RESTORES = ["backupName", "namespaceMapping", "restorePVs", "existingResourcePolicy"];
/** What no schema knows, and JavaScript knows too well. */
const UNKNOWN = ["unheardOf", "__proto__", "constructor"];

/** @returns each change with what it does, in words */
export async function specChanges(): Promise<[string, SpecChange][]> {
  const crd = crdSchema.parse(parse(await readFile("manifests/crds/ops.vworkspace.io_operations.yaml", "utf8")));
  const whole: Field = { path: ["parameters"], required: false, values: [{ ttl: "1h" }, { ttl: "2h" }] };
  const unknown = UNKNOWN.map(
    (name): Field => ({ path: ["parameters", name], required: false, values: [1, { two: 2 }] }),
  );
  const known = fieldsOf(crd.spec.versions[0].schema.openAPIV3Schema.properties.spec);
  const backup = specWith(whole, { ttl: "1h" });
  return [
    ["spec appears", { before: undefined, after: backup, path: [] }],
    ["spec vanishes", { before: backup, after: undefined, path: [] }],
    ["another engine's spec becomes ours", { before: { ...backup, engine: "helm" }, after: backup, path: ["engine"] }],
    [
      "a known parameter makes place for an unknown one",
      {
        before: specWith(whole, { excludedResources: ["secrets"] }),
        after: specWith(whole, withValue({}, ["__proto__"], 1)),
        path: ["parameters"],
      },
    ],
    ...[whole, ...known, ...unknown].flatMap(changesOf),
  ];
}

function fieldsOf(schema: Schema, path: Path = []): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const at = [...path, name];
    const values = SPECIAL[name] ?? VALUES[inner.type ?? "string"] ?? (["one", "two"] as const);
    if (inner.properties !== undefined) return fieldsOf(inner, at);
    return [{ path: at, required: schema.required?.includes(name) ?? false, values }];
  });
}

function changesOf(field: Field): [string, SpecChange][] {
  const { path, values } = field;
  const [one, two] = values.map((value) => specWith(field, value));
  const none = specWith(field);
  const name = path.join(".");
  const changes: [string, SpecChange][] = [[`${name} changes`, { before: one, after: two, path }]];
  if (field.required) return changes;
  if (name !== "parameters.backupName") changes.push([`${name} appears`, { before: none, after: one, path }]);
  return [...changes, [`${name} vanishes`, { before: one, after: none, path }]];
}

/** A spec with that value of the field, or without the field. */
function specWith({ path }: Field, value?: unknown): Json {
  const isRestore = OF_RESTORES.includes(path.at(-1) ?? "");
  const spec: Json = {
    targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" },
    type: isRestore ? "Restore" : "Backup",
    engine: "velero",
    parameters: isRestore ? { backupName: "b" } : {},
  };
  return value === undefined ? without(spec, path) : withValue(spec, path, value);
}

/** The value at a path; undefined where there is none. */
export function valueAt(object: Json | undefined, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined),
    object,
  );
}

/** An object with a value at a path. Own properties only: `__proto__` must be a key like any other. */
export function withValue(object: Json, [name = "", ...rest]: Path, value: unknown): Json {
  const inner = Object.hasOwn(object, name) ? object[name] : {};
  const next = rest.length === 0 ? value : withValue(Object(inner), rest, value);
  return Object.fromEntries([...Object.entries(object).filter(([key]) => key !== name), [name, next]]);
}

function without(object: Json, [name = "", ...rest]: Path): Json {
  const others = Object.entries(object).filter(([key]) => key !== name);
  if (rest.length === 0) return Object.fromEntries(others);
  return Object.fromEntries([...others, [name, without(Object(object[name] ?? {}), rest)]]);
}
