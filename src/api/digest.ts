import { createHash } from "node:crypto";
import type { Spec } from "./operation.ts";
import { inOrder } from "./order.ts";

/**
 * The digest of a spec, the same wherever it is computed: `sha256:<hex>` of the canonical JSON of its type, engine,
 * targetRef and parameters. Approvals are no part of it, because they sign it. docs/contract.md#admitted-spec,
 * docs/contract.md#approval.
 */
export function specDigest({ type, engine, targetRef, parameters = {} }: Spec): string {
  // Only the fields that are used here: another operator's CRD may keep more.
  const { apiVersion, kind, name } = targetRef;
  return digestOf({ type, engine, targetRef: { apiVersion, kind, name }, parameters });
}

/** `sha256:<hex>` of a JSON value, whatever the order of its keys. */
export function digestOf(value: unknown): string {
  return textDigest(canonicalJson(value));
}

/** Stands for a text that is too long or too strange to be kept or shown: equal digests mean equal texts. */
export function textDigest(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** JSON without blanks in which the keys of every object are sorted. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => inOrder(one, other))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
