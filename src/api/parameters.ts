import * as z from "zod";
import { parseGoDuration } from "./duration.ts";
import { labelSelector } from "./labelSelector.ts";
import { leftOutAs, platformExclusions } from "./platformExclusions.ts";
import { parseBackupName } from "./sourceBackupName.ts";

/**
 * The parameters of a Backup and of a Restore, each with the values that are allowed. The CRD declares the types of
 * these fields, because other types of Operations share `parameters`, and checks the form of a few (rules.ts). A value that the CRD allows and this schema
 * does not ends as Accepted=False/ValidationFailed. docs/contract.md#schema.
 */

const CONTROL_CHARACTERS = /\p{Cc}/u;
/** Kinds are allowed as well, in any case, as Velero allows them. */
const RESOURCE_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const objectName = (what: string) =>
  z
    .string(`must be the name of a ${what}`)
    .max(253, `must be the name of a ${what}, 253 characters at most`)
    .regex(DNS_SUBDOMAIN, `must be the name of a ${what}: lower case letters, digits, "-" and "."`);

const namespaceName = z
  .string("must be the literal name of a namespace")
  .max(63, "must be the literal name of a namespace, 63 characters at most")
  .regex(DNS_LABEL, 'must be the literal name of a namespace: lower case letters, digits and "-", no wildcards');

const flag = z.boolean("must be true or false");

const resourceName = z
  .string("must be the name of a resource")
  .max(253, "must be the name of a resource, 253 characters at most")
  .refine(
    (name) => !CONTROL_CHARACTERS.test(name) && (name === "*" || RESOURCE_NAME.test(name)),
    'must be the name of a resource such as "configmaps" or "deployments.apps", or "*"',
  );

const resourceList = z
  .array(resourceName, "must be a list of resource names")
  .max(256, "must be a list of 256 resource names at most");

const includedResources = resourceList
  .min(1, 'must name at least one resource, or "*" for all')
  .refine((names) => names.length === 1 || !names.includes("*"), '"*" means all resources and must stand alone');

const excludedResources = resourceList.refine(
  (names) => !names.includes("*"),
  '"*" would exclude everything; name the resources to leave out',
);

const duration = z
  .string('must be a Go duration such as "72h"')
  .max(64, 'must be a Go duration such as "72h", 64 characters at most')
  .refine((text) => {
    const nanoseconds = parseGoDuration(text);
    return nanoseconds !== undefined && nanoseconds > 0n;
  }, 'must be a Go duration greater than 0, such as "72h" or "1h30m"');

const BACKUP_NAME =
  'must name a Backup: "daily", or exactly one by "operation/daily", "operation/org-a/daily" or "backup/daily"';
const backupName = z.string(BACKUP_NAME).refine((text) => parseBackupName(text) !== undefined, BACKUP_NAME);

/** A parameter that is not given is not sent: Velero's server has its own defaults. */
export const backupParametersSchema = z.strictObject({
  storageLocation: objectName("BackupStorageLocation").optional(),
  snapshotVolumes: flag.optional(),
  csiSnapshotClassName: objectName("VolumeSnapshotClass").optional(),
  ttl: duration.optional(),
  includedResources: includedResources.optional(),
  excludedResources: excludedResources.optional(),
  labelSelector: labelSelector.optional(),
  defaultVolumesToFsBackup: flag.optional(),
  snapshotMoveData: flag.optional(),
  itemOperationTimeout: duration.optional(),
  csiSnapshotTimeout: duration.optional(),
});

export const restoreParametersSchema = z.strictObject({
  backupName,
  namespaceMapping: z
    .record(namespaceName, namespaceName, "must map names of namespaces to names of namespaces")
    .refine((mapping) => Object.keys(mapping).length <= 64, "must map 64 namespaces at most")
    .optional(),
  restorePVs: flag.optional(),
  existingResourcePolicy: z.enum(["none", "update"], 'must be "none" or "update"').optional(),
  includedResources: includedResources.default(["*"]),
  excludedResources: excludedResources.optional(),
  labelSelector: labelSelector.optional(),
  preserveNodePorts: flag.optional(),
  itemOperationTimeout: duration.optional(),
});

export type BackupParameters = z.infer<typeof backupParametersSchema>;
export type RestoreParameters = z.infer<typeof restoreParametersSchema>;

/**
 * The first resource that a Restore includes although no Restore may restore it on this platform. Velero would follow
 * the exclusion and say nothing.
 *
 * @param excludedResources the setting `restore.excludedResources`
 * @returns a message with the field, its value and why; undefined if there is none
 */
export function asksForLeftOut(
  { includedResources }: Pick<RestoreParameters, "includedResources">,
  excludedResources: readonly string[],
): string | undefined {
  for (const [at, name] of includedResources.entries()) {
    const resource = leftOutAs(name, platformExclusions(excludedResources));
    if (resource === undefined) continue;
    return `spec.parameters.includedResources.${at}: ${quoted(name)} must be left out: no Restore may restore ${resource} on this platform`;
  }
  return undefined;
}

/** What parsing yields: the values, or one message that names every wrong field, its value and what is allowed. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; message: string };

/**
 * @param schema one of the two schemas above
 * @param parameters `spec.parameters` as it is; undefined counts as empty
 */
export function parseParameters<T>(schema: z.ZodType<T>, parameters: unknown): Parsed<T> {
  if (isStandIn(parameters)) return { ok: false, message: parameters[WRONG] };
  const result = schema.safeParse(parameters ?? {});
  if (result.success) return { ok: true, value: result.data };
  const problems = result.error.issues.slice(0, MAX_PROBLEMS).map((issue) => describe(issue, parameters));
  const left = result.error.issues.length - problems.length;
  return { ok: false, message: problems.join("; ") + (left > 0 ? `; and ${left} more` : "") };
}

const WRONG = Symbol("wrong");

/**
 * Takes the place of wrong parameters that need not be kept in memory: parsing it yields the same message. JSON cannot
 * contain one.
 */
export function wrongParameters(message: string): Record<string, unknown> {
  return { [WRONG]: message };
}

function isStandIn(parameters: unknown): parameters is { [WRONG]: string } {
  return typeof parameters === "object" && parameters !== null && WRONG in parameters;
}

const MAX_PROBLEMS = 5;
const MAX_SHOWN = 60;

function describe(issue: z.core.$ZodIssue, parameters: unknown): string {
  const field = ["spec.parameters", ...issue.path.map(String)].map(shown).join(".");
  if (issue.code === "unrecognized_keys") {
    return `${field}: unknown ${issue.keys.slice(0, MAX_PROBLEMS).map(quoted).join(", ")}`;
  }
  if (issue.code === "invalid_key") {
    return `${field}: ${issue.issues.map((inner) => inner.message).join(", ")}`;
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined),
    parameters,
  );
  return value === undefined ? `${field} is missing: ${issue.message}` : `${field}: ${quoted(value)} ${issue.message}`;
}

/** A tenant's value for a message: cut, and nothing in it can break a line or a terminal. */
function quoted(value: unknown): string {
  return shown(JSON.stringify(value) ?? String(value));
}

function shown(text: string): string {
  const safe = text.replace(/\p{Cc}|\p{Cf}/gu, "?");
  return safe.length <= MAX_SHOWN ? safe : `${safe.slice(0, MAX_SHOWN)}…`;
}
