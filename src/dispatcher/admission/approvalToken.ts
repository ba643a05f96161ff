import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { specDigest } from "../../api/digest.ts";
import type { VeleroOperation } from "../../api/operation.ts";

/**
 * Approval tokens: `vws<version>.<base64url JSON>.<hex HMAC-SHA256 of the part between the dots>`.
 * docs/contract.md#approval.
 *
 * - Version 1 is what upstream's control plane signs. It names the Operation, but neither its namespace nor what it asks for:
 *   upstream's form has no field for them.
 * - Version 2 names this very Operation (`uid`), or its namespace and name (`ns` and `op`, for one that is still to be
 *   created), and in either case what it asks for (`digest`).
 */
const TOKEN = /^vws([12])\.([A-Za-z0-9_-]{1,4096})\.([0-9a-fA-F]{64})$/;

/** Unix seconds, no later than a Date can hold. The token is valid until the end of this second. */
const exp = z
  .int()
  .min(0)
  .max(8.64e12 - 1);

/** Both versions are signed with the same key; only the signed `v` keeps one from being used as the other. */
const payloadSchemas = {
  1: z.looseObject({ v: z.literal(1), rid: z.int(), op: z.string(), by: z.string(), at: z.string(), exp }),
  2: z
    .looseObject({
      v: z.literal(2),
      uid: z.string().min(1).optional(),
      ns: z.string().min(1).optional(),
      op: z.string().min(1).optional(),
      digest: z.string(),
      by: z.string(),
      at: z.string(),
      exp,
    })
    .refine(({ uid, ns, op }) => uid !== undefined || (ns !== undefined && op !== undefined)),
};

export type Approval = { readonly ok: true; readonly ends: Date } | { readonly ok: false; readonly why: string };

interface ApprovalContext {
  readonly operation: VeleroOperation;
  /** The configured key; without one no token is valid. */
  readonly key: string | undefined;
  /** Whether a token must be bound to what it approves (version 2). */
  readonly requireBound: boolean;
  readonly now: Date;
}

/**
 * Whether an approval token approves an Operation now.
 *
 * @param token `spec.approvals.claim`, in which a tenant may have written anything
 * @returns the first moment at which the token is no longer valid, or why it is not valid now, in words that a tenant may read
 */
export function verifyApprovalToken(token: string | undefined, context: ApprovalContext): Approval {
  const { operation, key, requireBound, now } = context;
  if (key === undefined || key.trim() === "")
    return invalid("the platform has no approval key, so no approval token can be valid");
  if (token === undefined || token === "") return invalid("spec.approvals.claim is missing");
  const [, version, body = "", signature = ""] = TOKEN.exec(token.trim()) ?? [];
  const expected = createHmac("sha256", key.trim()).update(body).digest();
  // The content of a token without the right signature is not even parsed.
  const given = Buffer.from(signature, "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return invalid("spec.approvals.claim is not signed with the configured key");
  }
  const content = json(Buffer.from(body, "base64url").toString("utf8"));
  const payload = payloadSchemas[version === "2" ? 2 : 1].safeParse(content).data;
  if (payload === undefined) return invalid("spec.approvals.claim is signed but malformed");
  if (payload.v === 1 && requireBound) {
    return invalid(
      "spec.approvals.claim has the old form vws1, which names neither namespace nor parameters; the platform accepts only vws2",
    );
  }
  const { name, namespace, uid } = operation.metadata;
  const wrong =
    payload.v === 1
      ? payload.op !== name
      : (payload.uid ?? uid) !== uid || (payload.ns ?? namespace) !== namespace || (payload.op ?? name) !== name;
  if (wrong) return invalid("spec.approvals.claim is for another Operation");
  if (payload.v === 2 && payload.digest !== specDigest(operation.spec)) {
    return invalid("spec.approvals.claim is for another request: its type, targetRef or parameters differ");
  }
  const ends = new Date((payload.exp + 1) * 1000);
  if (now >= ends) return invalid(`spec.approvals.claim expired at ${ends.toISOString()}`);
  return { ok: true, ends };
}

function invalid(why: string): Approval {
  return { ok: false, why };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
