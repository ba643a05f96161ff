import { readFile } from "node:fs/promises";
import { parseDocument } from "yaml";
import * as z from "zod";
import { DEFAULT_REQUEST_WINDOW } from "../api/crossNamespace.ts";
import { parseGoDuration } from "../api/duration.ts";
import { SYSTEM_NAMESPACE } from "../api/names.ts";
import { SUPPORTED_TYPES } from "../api/operation.ts";
import { DEFAULT_PLATFORM_EXCLUSIONS } from "../api/platformExclusions.ts";

/** Names the settings file. Every other variable with {@link PREFIX} overrides one setting. */
const FILE_VARIABLE = "OPERATION_RUNNER_SETTINGS";
const PREFIX = "OPERATION_RUNNER_";
/** The kubelet sets these variables for a Service named operation-runner; they are no settings. */
const SERVICE_LINK = /^OPERATION_RUNNER_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)/;

const namespace = z
  .string("must be the name of a namespace")
  .max(63, "must be the name of a namespace: 63 characters at most")
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'must be the name of a namespace: lower case letters, digits and "-"');

const labelKey = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

const resource = z
  .string("must be the name of a resource")
  .max(253, "must be the name of a resource: 253 characters at most")
  .regex(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
    'must be the plural name of a resource and its group, such as "limitranges" or "roles.rbac.authorization.k8s.io"',
  );

const goDuration = z.string('must be a Go duration such as "15m"').refine((text) => {
  const nanoseconds = parseGoDuration(text);
  return nanoseconds !== undefined && nanoseconds > 0n;
}, 'must be a Go duration greater than 0, such as "15m"');
const maybeDuration = (such: string) =>
  z
    .string("must be a duration")
    .refine(
      (text) => text === "" || (parseGoDuration(text) ?? 0n) > 0n,
      `must be a Go duration such as ${such}, or empty`,
    );
const count = z.int("must be a whole number").min(1, "must be 1 or more").max(10_000, "must be 10000 or less");
const flag = z.boolean("must be true or false");

const openTo = (what: string) =>
  z.record(z.string(), z.array(namespace, "must be a list of namespaces"), `must map ${what} to lists of namespaces`);

/**
 * Every setting of the dispatcher, with its default; `description` and `unit` become docs/settings.md. The runner has no
 * settings of its own: the dispatcher passes it what it needs in the environment of its Job.
 */
export const settingsSchema = z.strictObject({
  clusterId: z
    .string("must be a text")
    .regex(labelValue, 'must be a label value: letters, digits, "-", "_" and ".", 63 characters at most')
    .default("")
    .meta({
      description:
        "This cluster's name. An Operation whose label `app.vworkspace.io/cluster-id` says another one is refused, and what is made carries it. Empty: the cluster has no name, and every Operation with that label is refused.",
    }),
  namespaces: z
    .array(namespace, "must be a list of namespaces")
    .default([])
    .meta({ description: "The namespaces whose Operations are carried out. Empty: all." }),
  requireManagedByLabel: flag.default(false).meta({
    description:
      "Carry out only Operations with the label `app.vworkspace.io/managed-by: control-plane`. Any tenant could set it: the component `managed-by-label` turns this on together with the policy that says who may.",
  }),
  namespaceGateLabel: z
    .string("must be a label key")
    .refine((key) => key === "" || labelKey.test(key), "must be a label key, or empty")
    .default("")
    .meta({
      description:
        'The key of a label that a namespace must carry with the value `"true"` before its Operations are carried out. Empty: none.',
    }),
  requireTargetReady: flag.default(true).meta({
    description: "Hold a Backup back until its target has the condition Ready=True (or no such condition at all).",
  }),
  pauseTarget: flag.default(false).meta({
    description:
      "Pause the target of a Restore while that is at work (`apps.vworkspace.io/reconcile: disabled`), so that its own controller does not undo what Velero brings back. Needs the right to write targets, which the component `pause-target` installs together with this setting.",
  }),
  veleroNamespace: namespace
    .default("velero")
    .meta({ description: "The namespace in which Velero runs and keeps its objects." }),
  jobNamespace: namespace.default(SYSTEM_NAMESPACE).meta({
    description:
      "The namespace of the Jobs, their templates and the dispatcher's Lease. Left out: the dispatcher's own namespace (`POD_NAMESPACE`).",
  }),
  limits: z
    .strictObject({
      maxConcurrent: count.default(10).meta({
        description: "How many Operations may be under way at once, in the whole cluster.",
        unit: "Operations",
      }),
      maxConcurrentPerNamespace: count.default(3).meta({
        description: "How many Operations may be under way at once in one namespace.",
        unit: "Operations",
      }),
      concurrentBackups: z
        .int("must be a whole number")
        .min(0, "must be 0 or more")
        .max(10_000, "must be 10000 or less")
        .default(0)
        .meta({
          description:
            "How many Backups Velero's server works on at once: its argument `--concurrent-backups`. At any time Velero has at most that many Backups of Operations, and one more in its queue while more than three wait; the other Operations wait as Queued, because Velero pauses between Backups when its own queue is long. 0: as the Deployment `velero` says, or 1 where that cannot be read. A larger number does not make Velero faster.",
          unit: "Backups",
        }),
      maxCsiSnapshotTimeout: maybeDuration("10m").default("10m").meta({
        description:
          "The longest `csiSnapshotTimeout` that a Backup may ask for. Velero waits so long for each snapshot, and backs up nobody else meanwhile. Empty: no limit.",
        unit: "Go duration",
      }),
      maxItemOperationTimeout: maybeDuration("4h").default("4h").meta({
        description:
          "The longest `itemOperationTimeout` that a Backup or Restore may ask for. So long it may hold its place while data is moved. Empty: no limit.",
        unit: "Go duration",
      }),
      maxRunTime: maybeDuration("4h").default("").meta({
        description:
          "How long Velero may work on one Operation, from when it began with it. Then the Operation is cancelled, with what that does to a backup, and says so (`DeadlineExceeded`). Time in Velero's own queue does not count. What Velero cannot interrupt is still waited out: only the copies of volumes that a backup waits for are stopped, all else comes to its own end. Empty: no limit.",
        unit: "Go duration",
      }),
      maxStartTime: maybeDuration("2h").default("2h").meta({
        description:
          "How long an Operation may hold its place while Kubernetes brings no runner of it to work (no node, no image, a volume that cannot be mounted). Then it has failed, and others take its place; not while Velero is at work for it. A Job that a queue suspends may wait for as long as it likes. Empty: for ever.",
        unit: "Go duration",
      }),
    })
    .prefault({}),
  restore: z
    .strictObject({
      excludedResources: z
        .array(resource, "must be a list of resources")
        .max(64, "must be a list of 64 resources at most")
        .default([...DEFAULT_PLATFORM_EXCLUSIONS])
        .meta({
          description:
            "What no Restore brings back, because Velero would write it with rights that who asks does not have. Take one out of the list to let it in; the policy `runner-restore` must then let it in, too, by the annotation `ops.vworkspace.io/restorable-resources` of Velero's namespace. Add `roles.rbac.authorization.k8s.io` and `rolebindings.rbac.authorization.k8s.io` to keep old rights from coming back. Operations are left out in any case.",
        }),
    })
    .prefault({}),
  retention: z
    .strictObject({
      keep: z
        .int("must be a whole number")
        .min(0, "must be 0 or more")
        .max(10_000, "must be 10000 or less")
        .default(0)
        .meta({
          description:
            "How many finished Operations stay for each target and type: so many that succeeded, that failed and that were cancelled, the newest of each. Older ones are deleted; their backups stay. What a GitOps tool has made stays, because it would make it again. Needs the right to delete Operations, which the component `retention` installs together with this setting. 0: all stay.",
          unit: "Operations",
        }),
      minAge: goDuration.default("168h").meta({
        description: "A finished Operation stays at least so long after its end.",
        unit: "Go duration",
      }),
    })
    .prefault({}),
  approvalRequired: z
    .strictObject({
      types: z.array(z.enum(SUPPORTED_TYPES, "must be Backup or Restore"), "must be a list of types").default([]).meta({
        description:
          "The types of Operations (`Backup`, `Restore`) that need an approval, whether or not they ask for one.",
      }),
      namespaces: z.array(namespace, "must be a list of namespaces").default([]).meta({
        description: "The namespaces whose Operations need an approval, whether or not they ask for one.",
      }),
      mappedNamespaces: flag.default(false).meta({
        description: "Whether a Restore from another namespace than its own (`namespaceMapping`) needs an approval.",
      }),
    })
    .prefault({}),
  approvalKeyFile: z.string("must be a path").default("").meta({
    description:
      "A file (of a mounted Secret) with the key that approval tokens are signed with. Empty: no token is valid, and what needs an approval waits.",
  }),
  requireBoundClaims: flag.default(false).meta({
    description:
      "Refuse tokens of the old form (`vws1`), which name an Operation and neither its namespace nor what it asks for.",
  }),
  storageLocations: openTo("locations").default({}).meta({
    description:
      "Which namespaces may use a BackupStorageLocation: a map from the name of the location to a list of namespaces. A location that is not listed is open to all namespaces, unless `storageLocationsClosed` is set.",
  }),
  storageLocationsClosed: flag.default(false).meta({
    description:
      "A BackupStorageLocation that `storageLocations` does not list is open to nobody; Velero's default, too.",
  }),
  snapshotClasses: openTo("classes").default({}).meta({
    description:
      "Which namespaces may name a VolumeSnapshotClass (`csiSnapshotClassName`): a map from the name of the class to a list of namespaces. A class that is not listed is open to all namespaces, unless `snapshotClassesClosed` is set.",
  }),
  snapshotClassesClosed: flag.default(false).meta({
    description: "A VolumeSnapshotClass that `snapshotClasses` does not list may be named by nobody.",
  }),
  requestWindow: goDuration.default(DEFAULT_REQUEST_WINDOW).meta({
    description:
      "How long after it was asked for (created, approved or run again by somebody who has the right) a Restore from another namespace may begin. The right is asked for at that moment and at no other.",
    unit: "Go duration",
  }),
  hideVeleroMessages: flag.default(false).meta({
    description:
      "Keep what Velero says of failures (failure reasons, validation errors, warnings, what is wrong with a storage location) out of Operations: it names buckets, roles and hosts. An Operation then counts it and says where an admin finds it.",
  }),
  listen: z
    .string("must be host:port")
    .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/[\]]+):\d{1,5}$/, "must be host:port")
    .default("[::]:8080")
    .meta({
      description:
        "The address that serves `/metrics`, `/healthz` and `/readyz`. `[::]` means every address of IPv4 and IPv6, or of IPv4 alone on a node without IPv6. Port 0: any free port.",
      unit: "host:port",
    }),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal"], "must be trace, debug, info, warn, error or fatal")
    .default("info")
    .meta({
      description: "The least severe log lines to write. The runners get the same unless their template says else.",
    }),
});

export type Settings = z.infer<typeof settingsSchema>;

/** One setting, as its schema describes it. */
export interface SettingKey {
  readonly path: readonly string[];
  readonly type: string;
  readonly default: unknown;
  readonly description: string;
  readonly unit: string | undefined;
}

/** Every key that has a value of its own, in the order of the schema. */
export function settingKeys(): SettingKey[] {
  return leaves(z.toJSONSchema(settingsSchema, { io: "input" }), []);
}

function leaves({ properties = {} }: z.core.JSONSchema.BaseSchema, path: readonly string[]): SettingKey[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    if (typeof schema === "boolean") return [];
    if (schema.properties !== undefined) return leaves(schema, [...path, name]);
    const { default: unset, description = "", unit } = schema;
    const type = String(schema.type);
    const key = { path: [...path, name], type, default: unset, description };
    return [{ ...key, unit: typeof unit === "string" ? unit : undefined }];
  });
}

/** The settings cannot be used; the message lists everything that is wrong with them, one problem a line. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(problems: readonly string[]) {
    super(["settings cannot be used:", ...problems].join("\n  "));
  }
}

/** The environment variable that overrides a key: `limits.maxConcurrent` is `OPERATION_RUNNER_LIMITS_MAX_CONCURRENT`. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.map((key) => key.replace(/[A-Z]/g, "_$&").toUpperCase()).join("_");
}

/** Everything that an admin sets. If any of it changes, the dispatcher starts again with all of it. */
export interface Setup {
  readonly settings: Settings;
  /** {@link readApprovalKey} */
  readonly approvalKey: string | undefined;
}

/** @throws SettingsError as {@link loadSettings} and {@link readApprovalKey} */
export async function loadSetup(env: NodeJS.ProcessEnv): Promise<Setup> {
  const settings = await loadSettings(env);
  return { settings, approvalKey: await readApprovalKey(settings) };
}

/**
 * Reads the settings. Environment variables (lists and maps as YAML) override the YAML file that `OPERATION_RUNNER_SETTINGS`
 * names, and that file, if any, overrides the defaults.
 *
 * @throws SettingsError listing every wrong value and every unknown key
 */
export async function loadSettings(env: NodeJS.ProcessEnv): Promise<Settings> {
  const raw: Record<string, unknown> = {
    ...(env.POD_NAMESPACE && { jobNamespace: env.POD_NAMESPACE }),
    ...(await settingsFile(env[FILE_VARIABLE])),
  };
  const problems = override(raw, env);
  const parsed = settingsSchema.safeParse(raw);
  if (!parsed.success) problems.unshift(...parsed.error.issues.map((issue) => describe(issue, env)));
  if (!parsed.success || problems.length > 0) throw new SettingsError(problems);
  return parsed.data;
}

/**
 * Reads the key that signs approval tokens: the content of its file without a line break at the end.
 *
 * @returns undefined if no key is configured
 * @throws SettingsError if the configured file cannot be read or is empty
 */
export async function readApprovalKey(settings: Settings): Promise<string | undefined> {
  if (settings.approvalKeyFile === "") return undefined;
  const key = (await readText(settings.approvalKeyFile, "approvalKeyFile")).replace(/\r?\n$/, "");
  if (key === "") throw new SettingsError([`approvalKeyFile: ${settings.approvalKeyFile} is empty`]);
  return key;
}

async function settingsFile(path: string | undefined): Promise<object> {
  if (path === undefined || path === "") return {};
  const read = readYaml(await readText(path, FILE_VARIABLE), path);
  if (!read.ok) throw new SettingsError(read.problems);
  const content = read.value ?? {};
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new SettingsError([`${path}: must be a map of settings`]);
  }
  return content;
}

type Yaml = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problems: string[] };

/** @param from the file or the variable that has the text; every problem names it */
function readYaml(text: string, from: string): Yaml {
  const document = parseDocument(text);
  const firstLine = (error: unknown) =>
    `${from}: ${String(error instanceof Error ? error.message : error).split("\n")[0]}`;
  if (document.errors.length > 0) return { ok: false, problems: document.errors.map(firstLine) };
  try {
    return { ok: true, value: document.toJS() };
  } catch (error) {
    // The parser finds an alias without an anchor, or one that expands too far, only here.
    return { ok: false, problems: [firstLine(error)] };
  }
}

async function readText(path: string, key: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new SettingsError([`${key}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** Overrides `raw` by the environment, and returns the problems: unknown settings and wrong YAML. */
function override(raw: Record<string, unknown>, env: NodeJS.ProcessEnv): string[] {
  const keys = new Map(settingKeys().map((key) => [variableOf(key.path), key]));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || name === FILE_VARIABLE || SERVICE_LINK.test(name) || value === undefined) continue;
    const key = keys.get(name);
    if (key === undefined) {
      problems.push(`${name}: unknown setting`);
      continue;
    }
    const parsed: Yaml = key.type === "string" ? { ok: true, value } : readYaml(value, name);
    if (!parsed.ok) {
      problems.push(...parsed.problems);
      continue;
    }
    const [outer = "", inner] = key.path;
    const around = raw[outer];
    raw[outer] =
      inner === undefined ? parsed.value : { ...(typeof around === "object" ? around : {}), [inner]: parsed.value };
  }
  return problems;
}

function describe(issue: z.core.$ZodIssue, env: NodeJS.ProcessEnv): string {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${[...path, key].join(".")}: unknown setting`).join("\n  ");
  }
  const variable = variableOf(path);
  const from = env[variable] === undefined ? "" : ` (from ${variable})`;
  return `${path.join(".")}${from}: ${issue.message}`;
}
