import { digestOf, specDigest } from "./digest.ts";
import { Annotation } from "./labels.ts";
import type { Status, VeleroOperation } from "./operation.ts";

/**
 * Restores from another namespace. The policy operation-rights checks the requester's right in that namespace when they
 * create or change the Operation, and nothing checks it later. So such a Restore must begin soon after: otherwise
 * somebody could prepare one, hold it back, and start it after they have lost the right.
 * docs/contract.md#restores-from-another-namespace.
 */

/** The name of the admission policy, and of its binding, that checks the requester's right. */
export const RIGHTS_POLICY = "operation-rights.ops.vworkspace.io";

/** How long after the request such a Restore may begin, if no setting says otherwise: a Go duration. */
export const DEFAULT_REQUEST_WINDOW = "15m";

/** Whether an Operation restores from a namespace that is not its own. */
export function isCrossNamespace({ spec, metadata }: VeleroOperation): boolean {
  const mapping = spec.type === "Restore" ? spec.parameters?.namespaceMapping : undefined;
  if (typeof mapping !== "object" || mapping === null) return false;
  return Object.keys(mapping).some((source) => source !== metadata.namespace);
}

/**
 * The digest of what an Operation asks for: its spec, its approval, and the token of a re-run (an empty token asks for
 * nothing). Labels are no part of it: removing a label that holds an Operation back is no request. The digest must stay
 * the same in every version of this program, or an upgrade would make every waiting request a new one.
 */
export function requestDigest({ spec, metadata: { annotations } }: VeleroOperation): string {
  const { required, claim } = spec.approvals ?? {};
  const rerun = annotations?.[Annotation.rerun] || null;
  return digestOf({ spec: specDigest(spec), required: required ?? false, claim: claim ?? null, rerun });
}

/**
 * What was asked for last, and when. The first time that the dispatcher sees an Operation, the time of its creation
 * counts: if it has been changed since, nobody knows when.
 *
 * @param last the request that the status records
 * @param now the time of a change that is not recorded yet
 */
export function latestRequest(operation: VeleroOperation, last: Status["request"], now: string): Status["request"] {
  if (!isCrossNamespace(operation)) return undefined;
  const digest = requestDigest(operation);
  if (last === undefined) return { digest, at: operation.metadata.creationTimestamp };
  return last.digest === digest ? last : { digest, at: now };
}

/** Whether a request is too old to begin now. @param windowMs the setting requestWindow, in milliseconds */
export function isRequestOver(
  status: Pick<Status, "request"> | undefined,
  { now, windowMs }: { now: Date; windowMs: number },
): boolean {
  const at = Date.parse(status?.request?.at ?? "");
  return !(now.getTime() - at <= windowMs);
}
