import { createHash } from "node:crypto";
import type { Spec } from "./operation.ts";

/**
 * What a request asks for, in one value that is the same wherever it is computed: `sha256:<hex>` of the canonical JSON (keys
 * sorted, no blanks) of its type, engine, targetRef and parameters. Approvals are no part of it: they speak about it.
 * docs/contract.md, Admission 8.
 */
export function specDigest({ type, engine, targetRef, parameters = {} }: Spec): string {
  const text = canonicalJson({ type, engine, targetRef, parameters });
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
