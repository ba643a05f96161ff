import { digestOf, specDigest } from "./digest.ts";
import { Annotation } from "./labels.ts";
import type { Status, VeleroOperation } from "./operation.ts";

/**
 * Restores from another namespace. Whoever asks for one, or changes it later, is asked for their right in that namespace by
 * the policy operation-rights at that moment and at no other. So such a Restore has to begin soon after: who has lost the
 * right since must not be able to start what they hold back. docs/contract.md#restores-from-another-namespace.
 */

/** The admission policy, and its binding, without which nobody is asked for their right. */
export const RIGHTS_POLICY = "operation-rights.ops.vworkspace.io";

/** How long after it was asked for it may begin, where no setting says else: a Go duration. */
export const DEFAULT_REQUEST_WINDOW = "15m";

/** Whether an Operation restores from a namespace that is not its own. */
export function isCrossNamespace({ spec, metadata }: VeleroOperation): boolean {
  const mapping = spec.type === "Restore" ? spec.parameters?.namespaceMapping : undefined;
  if (typeof mapping !== "object" || mapping === null) return false;
  return Object.keys(mapping).some((source) => source !== metadata.namespace);
}

/**
 * What an Operation asks for, in one word: its spec, its approval, and the token by which it is to be run again. Labels are
 * no part of it: who takes one away that holds it back does not ask for it. It must stay the same from version to version:
 * another one would make every request that is held back a new one. An empty token asks for nothing.
 */
export function requestDigest({ spec, metadata: { annotations } }: VeleroOperation): string {
  const { required, claim } = spec.approvals ?? {};
  const rerun = annotations?.[Annotation.rerun] || null;
  return digestOf({ spec: specDigest(spec), required: required ?? false, claim: claim ?? null, rerun });
}

/**
 * What was asked for last, and when. Of an Operation that is seen for the first time its creation counts, whatever has been
 * changed since: nobody knows when that was.
 *
 * @param last what is recorded so far
 * @param now by which a change that is not recorded yet is dated
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
