import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";

/**
 * Approval claims as upstream's control plane signs them: `vws1.<base64url JSON>.<hex HMAC-SHA256 of the part between the
 * dots>`. docs/contract.md, Admission 8. A claim names the Operation but not its namespace: upstream's form has no place
 * for one.
 */
const CLAIM = /^vws1\.([A-Za-z0-9_-]{1,4096})\.([0-9a-fA-F]{64})$/;

const payloadSchema = z.looseObject({
  v: z.literal(1),
  rid: z.int(),
  op: z.string(),
  by: z.string(),
  at: z.string(),
  /** Unix seconds, as far as a Date reaches; the claim holds up to the end of this one. */
  exp: z
    .int()
    .min(0)
    .max(8.64e12 - 1),
});

export type Approval = { readonly ok: true; readonly ends: Date } | { readonly ok: false; readonly why: string };

/**
 * Whether a claim approves an Operation now.
 *
 * @param claim `spec.approvals.claim` as a tenant may have written it
 * @param key the configured key; undefined or empty means that nothing is valid
 * @returns the first moment at which it is no longer valid, or why it is not now, told so that a tenant may read it
 */
export function verifyClaim(
  claim: string | undefined,
  { operation, key, now }: { operation: string; key: string | undefined; now: Date },
): Approval {
  if (key === undefined || key.trim() === "") return refused("no key is configured, so no claim can be valid");
  if (claim === undefined || claim === "") return refused("spec.approvals.claim is missing");
  const [, body = "", signature = ""] = CLAIM.exec(claim.trim()) ?? [];
  const expected = createHmac("sha256", key.trim()).update(body).digest();
  // What an unsigned claim says is not even looked at.
  const given = Buffer.from(signature, "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return refused("spec.approvals.claim is not signed with the configured key");
  }
  const payload = payloadSchema.safeParse(json(Buffer.from(body, "base64url").toString("utf8")));
  if (!payload.success) return refused("spec.approvals.claim is signed but malformed");
  if (payload.data.op !== operation) return refused("spec.approvals.claim is for another Operation");
  const ends = new Date((payload.data.exp + 1) * 1000);
  if (now >= ends) return refused(`spec.approvals.claim expired at ${ends.toISOString()}`);
  return { ok: true, ends };
}

function refused(why: string): Approval {
  return { ok: false, why };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
