import { expect, test } from "vitest";
import { approvalToken } from "../../../src/cli/approval.ts";
import { verifyApprovalToken } from "../../../src/dispatcher/admission/approvalToken.ts";
import { operation } from "../runner/operations.ts";

const approved = operation("Backup", { parameters: { ttl: "72h" } });
const now = new Date("2026-01-01T00:00:00.900Z");
const token = approvalToken(approved, { by: "ann", key: "k3y\n", now, validMs: 3_600_000 });

function verified(of: typeof approved, { at = now, key = "k3y" }: { at?: Date; key?: string } = {}) {
  return verifyApprovalToken(token, { operation: of, key, requireBound: true, now: at });
}

test("what is signed here, the dispatcher takes, for as long as was said", () => {
  expect(verified(approved)).toMatchObject({ ok: true });
  expect(verified(approved, { at: new Date("2026-01-01T00:59:59Z") })).toMatchObject({ ok: true });
  expect(verified(approved, { at: new Date("2026-01-01T01:00:02Z") })).toMatchObject({ ok: false });
});

test("it approves this very Operation with what it asks for, and nothing else", () => {
  const { metadata } = approved;
  expect(verified({ ...approved, metadata: { ...metadata, uid: "another" } })).toMatchObject({ ok: false });
  expect(verified({ ...approved, metadata: { ...metadata, namespace: "org-b" } })).toMatchObject({ ok: false });
  expect(verified(operation("Backup", { parameters: { ttl: "1h" } }))).toMatchObject({ ok: false });
  expect(verified(approved, { key: "other" })).toMatchObject({ ok: false });
});
