import { createHmac } from "node:crypto";
import { specDigest } from "../api/digest.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { timestamp } from "../api/status.ts";

export interface Approver {
  /** Who approves, as it is to be noted. */
  readonly by: string;
  /** The key that the dispatcher is configured with. */
  readonly key: string;
  readonly now: Date;
  /** For how long the approval holds, in milliseconds. */
  readonly validMs: number;
}

/**
 * An approval token of version 2: it approves this very Operation, with what it asks for, and nothing else.
 * docs/contract.md#approval.
 */
export function approvalToken(operation: VeleroOperation, { by, key, now, validMs }: Approver): string {
  const { uid, namespace: ns, name: op } = operation.metadata;
  const exp = Math.floor((now.getTime() + validMs) / 1000);
  const payload = { v: 2, uid, ns, op, digest: specDigest(operation.spec), by, at: timestamp(now), exp };
  const body = Buffer.from(JSON.stringify(payload)).toString("base64url");
  return `vws2.${body}.${createHmac("sha256", key.trim()).update(body).digest("hex")}`;
}
