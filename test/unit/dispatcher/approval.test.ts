import { beforeEach, describe, expect, test } from "vitest";
import { verifyClaim } from "../../../src/dispatcher/approval.ts";
import { APPROVAL_KEY, Cluster, conditionsOf, messageOf, signClaim } from "./cluster.ts";

const now = new Date("2026-11-22T12:00:00Z");
const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
const verify = (claim: string | undefined, key: string | undefined = APPROVAL_KEY, at = now) =>
  verifyClaim(claim, { operation: "nightly", key, now: at });

test("a claim that upstream's control plane signed is valid to the end of the second it names", () => {
  const claim = signClaim({ op: "nightly", exp: seconds(now) });
  expect(verify(claim)).toEqual({ ok: true, ends: new Date("2026-11-22T12:00:01Z") });
  expect(verify(claim, APPROVAL_KEY, new Date("2026-11-22T12:00:00.999Z")).ok).toBe(true);
  expect(verify(claim, APPROVAL_KEY, new Date("2026-11-22T12:00:01Z"))).toMatchObject({
    why: expect.stringMatching(/expired at 2026-11-22T12:00:01/),
  });
});

test("space around key and claim does not matter, as upstream has it", () => {
  expect(verify(` ${signClaim({ op: "nightly" })}\n`, `${APPROVAL_KEY}\n`).ok).toBe(true);
});

const [prefix = "", body = "", signature = ""] = signClaim({ op: "nightly" }).split(".");
const forged = Buffer.from(JSON.stringify({ v: 1, rid: 7, op: "nightly", by: "x", at: "", exp: 9e9 })).toString(
  "base64url",
);

test.each<[string, string | undefined, RegExp]>([
  ["none", undefined, /missing/],
  ["an empty one", "", /missing/],
  ["another prefix", `vws2.${body}.${signature}`, /not signed/],
  ["another body", `${prefix}.${forged}.${signature}`, /not signed/],
  ["another key", signClaim({ op: "nightly" }, "guessed"), /not signed/],
  ["a cut signature", `${prefix}.${body}.${signature.slice(0, 32)}`, /not signed/],
  ["no signature", `${prefix}.${body}.`, /not signed/],
  ["four parts", `${prefix}.${body}.${signature}.x`, /not signed/],
  ["a megabyte", `vws1.${"A".repeat(1_000_000)}.${signature}`, /not signed/],
  ["another Operation", signClaim({ op: "weekly" }), /for another Operation/],
  ["another version", signClaim({ op: "nightly", v: 2 }), /malformed/],
  ["no expiry", signClaim({ op: "nightly", exp: undefined }), /malformed/],
  ["a text as expiry", signClaim({ op: "nightly", exp: "2099" }), /malformed/],
  ["an expiry beyond time", signClaim({ op: "nightly", exp: 1e18 }), /malformed/],
  ["a request that is no number", signClaim({ op: "nightly", rid: "7" }), /malformed/],
])("%s is no approval", (_, claim, why) => {
  expect(verify(claim)).toMatchObject({ ok: false, why: expect.stringMatching(why) });
});

test.each([undefined, "", "  "])("without a key (%j) nothing is valid, not even what that signed", (key) => {
  const claim = signClaim({ op: "nightly" }, key ?? "");
  expect(verifyClaim(claim, { operation: "nightly", key, now })).toMatchObject({
    ok: false,
    why: expect.stringMatching(/no key is configured/),
  });
});

describe("an Operation that needs an approval", () => {
  let cluster: Cluster;
  beforeEach(() => {
    cluster = new Cluster();
  });

  test("waits for it, runs with it, and its end then changes nothing", () => {
    const operation = cluster.add({ name: "nightly", approvals: { required: true } });
    cluster.settle(operation);
    expect(messageOf(cluster.status(operation), "Blocked")).toBe(
      "approval is required: spec.approvals.claim is missing",
    );
    cluster.approve(operation, signClaim({ op: "nightly", exp: seconds(now) + 60 }));
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
    cluster.now = new Date("2026-11-23T12:00:00Z");
    expect(cluster.decide(operation)).toEqual({});
  });

  test("is looked at again when the approval ends while it still waits", () => {
    const first = cluster.add({ type: "Restore", creationTimestamp: "2026-11-22T09:00:00Z" });
    cluster.settle(first);
    const operation = cluster.add({ name: "nightly", approvals: { required: true } });
    cluster.approve(operation, signClaim({ op: "nightly", exp: seconds(now) + 60 }));
    const { action, lookAgainAt } = cluster.decide(operation);
    expect(action).toBeDefined();
    expect(lookAgainAt).toEqual(new Date("2026-11-22T12:01:01Z"));
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Blocked=True/ConflictingOperation");
    expect(cluster.decide(operation)).toEqual({ lookAgainAt });
    cluster.now = new Date("2026-11-22T12:01:01Z");
    cluster.settle(operation);
    expect(messageOf(cluster.status(operation), "Blocked")).toMatch(/expired/);
    expect(cluster.decide(operation).lookAgainAt).toBeUndefined();
  });
});
