import { createHash } from "node:crypto";

/** The dispatcher's Deployment, ServiceAccount and Lease. manifests/base. */
export const DISPATCHER_NAME = "operation-dispatcher";

/** The dispatcher's namespace, unless it was installed elsewhere. */
export const SYSTEM_NAMESPACE = "vworkspace-system";

/** A longer name does not fit into a label, and makes Velero leave moved volume data behind. */
export const MAX_NAME_LENGTH = 63;

/**
 * The name of the Job of one attempt. It depends on nothing but the Operation's UID and the attempt, so that a second
 * create of the same Job finds the first one. docs/contract.md#job-creation.
 */
export function jobName(operation: { name: string; uid: string }, attempt: number): string {
  return withHash(operation.name, hash(operation.uid, attempt).slice(0, 10));
}

/**
 * The names which the Velero object of one attempt may take, in order. The first attempt tries the Operation's own name;
 * when that is taken, and for later attempts, the hashed one. docs/contract.md#velero-object-name.
 */
export function veleroNames(operation: { name: string; uid: string }, attempt: number): [string, ...string[]] {
  const hashed = withHash(operation.name, hash(operation.uid, attempt).slice(0, 8));
  return attempt === 1 && operation.name.length <= MAX_NAME_LENGTH ? [operation.name, hashed] : [hashed];
}

/** Whether a name is the hashed one of that attempt. No other backup has, or ever had, such a name. */
export function isHashedName(name: string, uid: string, attempt: number): boolean {
  return name.endsWith(`-${hash(uid, attempt).slice(0, 8)}`);
}

/**
 * A label value, shortened as Velero does it: values of up to 63 characters are kept; of longer ones the first 57, and
 * 6 hex digits of the whole value's sha256 (Velero, pkg/label).
 */
export function labelValue(value: string): string {
  if (value.length <= MAX_NAME_LENGTH) return value;
  return value.slice(0, MAX_NAME_LENGTH - 6) + createHash("sha256").update(value).digest("hex").slice(0, 6);
}

function hash(uid: string, attempt: number): string {
  return createHash("sha256").update(`${uid}/${attempt}`).digest("hex");
}

function withHash(name: string, suffix: string): string {
  const cut = name.slice(0, MAX_NAME_LENGTH - suffix.length - 1).replace(/[-.]+$/, "");
  return `${cut}-${suffix}`;
}
