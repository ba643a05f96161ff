import type * as z from "zod";
import { applicationInstances } from "../../../api/applicationInstance.ts";
import { milliseconds } from "../../../api/duration.ts";
import { MAX_SNAPSHOT_DRIVER_LENGTH } from "../../../api/labels.ts";
import { quoted } from "../../../api/message.ts";
import { MAX_NAME_LENGTH } from "../../../api/names.ts";
import type { VeleroOperation } from "../../../api/operation.ts";
import {
  asksForLeftOut,
  type BackupParameters,
  backupParametersSchema,
  type Parsed,
  parseParameters,
  type RestoreParameters,
  restoreParametersSchema,
} from "../../../api/parameters.ts";
import { Reason } from "../../../api/reasons.ts";
import type { Settings } from "../../settings.ts";
import type { AdmissionWorld, Check } from "../hindrance.ts";

const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
/** What Kubernetes allows after the slash in the key of an annotation. */
const ANNOTATION_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

/**
 * Checks what the Operation itself says. Its spec cannot change, so a wrong Operation fails for good.
 * docs/contract.md#valid-parameters.
 */
export const specValid: Check = (operation, world) => {
  const message = wrongName(operation) ?? wrongTarget(operation) ?? wrongParameters(operation, world);
  return message === undefined ? undefined : { effect: "invalid", reason: Reason.validationFailed, message };
};

function wrongName({ metadata: { name } }: VeleroOperation): string | undefined {
  if (name.length <= MAX_NAME_LENGTH) return undefined;
  return `metadata.name: ${quoted(name)} must have ${MAX_NAME_LENGTH} characters at most, has ${name.length}`;
}

function wrongTarget({ spec: { targetRef } }: VeleroOperation): string | undefined {
  const { group, kind } = applicationInstances;
  if (!targetRef.apiVersion.startsWith(`${group}/`)) {
    return `spec.targetRef.apiVersion: ${quoted(targetRef.apiVersion)} must be of the group ${group}`;
  }
  if (targetRef.kind !== kind) return `spec.targetRef.kind: ${quoted(targetRef.kind)} must be ${kind}`;
  if (!OBJECT_NAME.test(targetRef.name)) {
    return `spec.targetRef.name: ${quoted(targetRef.name)} must be the name of an ${kind}: lower case letters, digits, "-" and "."`;
  }
  return undefined;
}

function wrongParameters(operation: VeleroOperation, world: AdmissionWorld): string | undefined {
  const { limits, restore } = world.settings;
  if (operation.spec.type === "Backup") {
    const parsed = backupParameters(operation);
    if (!parsed.ok) return parsed.message;
    return tooLong(parsed.value, limits) ?? wrongDriver(parsed.value, world);
  }
  const parsed = restoreParameters(operation);
  if (!parsed.ok) return parsed.message;
  return (
    tooLong(parsed.value, limits) ??
    foreignMapping(operation, parsed.value) ??
    asksForLeftOut(parsed.value, restore.excludedResources)
  );
}

const backupParameters = parserOf<BackupParameters>(backupParametersSchema);
const restoreParameters = parserOf<RestoreParameters>(restoreParametersSchema);

/**
 * Parses the parameters of an Operation only once. They never change and may be large, and decisions on other Operations need them
 * again.
 */
function parserOf<T>(schema: z.ZodType<T>): (operation: VeleroOperation) => Parsed<T> {
  const parsedSpecs = new WeakMap<VeleroOperation["spec"], Parsed<T>>();
  return ({ spec }) => {
    const parsed = parsedSpecs.get(spec) ?? parseParameters(schema, spec.parameters);
    parsedSpecs.set(spec, parsed);
    return parsed;
  };
}

/** Velero waits as long as these say, and the Operations of others wait behind it. */
function tooLong(
  parameters: Pick<BackupParameters, "csiSnapshotTimeout" | "itemOperationTimeout">,
  { maxCsiSnapshotTimeout, maxItemOperationTimeout }: Settings["limits"],
): string | undefined {
  const bounds = [
    { name: "csiSnapshotTimeout", setting: "maxCsiSnapshotTimeout", most: maxCsiSnapshotTimeout },
    { name: "itemOperationTimeout", setting: "maxItemOperationTimeout", most: maxItemOperationTimeout },
  ] as const;
  for (const { name, setting, most } of bounds) {
    const asked = parameters[name];
    if (asked === undefined || most === "" || milliseconds(asked) <= milliseconds(most)) continue;
    return `spec.parameters.${name}: ${quoted(asked)} must be ${most} at most (the platform's setting limits.${setting})`;
  }
  return undefined;
}

/** Velero reads the chosen class from an annotation whose key ends with the name of the driver, which must fit there. */
function wrongDriver({ csiSnapshotClassName }: BackupParameters, world: AdmissionWorld): string | undefined {
  const driver = csiSnapshotClassName === undefined ? undefined : world.snapshotClass(csiSnapshotClassName)?.driver;
  if (driver === undefined) return undefined;
  const field = `spec.parameters.csiSnapshotClassName: ${quoted(csiSnapshotClassName ?? "")}`;
  if (driver.length > MAX_SNAPSHOT_DRIVER_LENGTH) {
    return `${field} has the driver ${quoted(driver)}, whose name has more than the ${MAX_SNAPSHOT_DRIVER_LENGTH} characters that Velero's annotation allows`;
  }
  if (!ANNOTATION_NAME.test(driver))
    return `${field} has the driver ${quoted(driver)}, whose name has characters that Velero's annotation does not allow`;
  return undefined;
}

/** Whichever namespaces a Restore reads, it writes only into the Operation's own. */
function foreignMapping(
  { metadata: { namespace } }: VeleroOperation,
  { namespaceMapping = {} }: RestoreParameters,
): string | undefined {
  const foreign = Object.entries(namespaceMapping).find(([, to]) => to !== namespace);
  if (foreign === undefined) return undefined;
  const [from, to] = foreign;
  return `spec.parameters.namespaceMapping.${from}: ${quoted(to)} must be the Operation's own namespace ${quoted(namespace)}`;
}
