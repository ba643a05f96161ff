import { createHmac } from "node:crypto";

export const APPROVAL_KEY = "the control plane's key";

/** A claim as upstream's control plane signs it. */
export function signClaim(payload: Record<string, unknown>, key = APPROVAL_KEY): string {
  const whole = { v: 1, rid: 7, by: "ada", at: "2026-11-22T11:00:00Z", exp: 1_800_000_000, ...payload };
  const body = Buffer.from(JSON.stringify(whole)).toString("base64url");
  return `vws1.${body}.${createHmac("sha256", key).update(body).digest("hex")}`;
}
