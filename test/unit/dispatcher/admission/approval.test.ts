import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { specDigest } from "../../../../src/api/digest.ts";
import { verifyApprovalToken } from "../../../../src/dispatcher/admission/approvalToken.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { APPROVAL_KEY, signClaim } from "../approvalClaims.ts";
import type { OperationChange } from "../clusterObjects.ts";
import { Cluster, conditionsOf, messageOf } from "../fakeCluster.ts";

const now = new Date("2026-11-22T12:00:00Z");
const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
const sample = new Cluster().add({ name: "nightly", uid: "u1", parameters: { ttl: "720h", storageLocation: "gold" } });
const verify = (claim: string | undefined, key: string | undefined = APPROVAL_KEY, at = now) =>
  verifyApprovalToken(claim, { operation: sample, key, requireBound: false, now: at });

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
  ["another prefix", `vws3.${body}.${signature}`, /not signed/],
  ["the newer form's prefix on the old form", `vws2.${body}.${signature}`, /malformed/],
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
  expect(verifyApprovalToken(claim, { operation: sample, key, requireBound: false, now })).toMatchObject({
    ok: false,
    why: expect.stringMatching(/no approval token can be valid/),
  });
});

describe("a claim that is bound to what it approves", () => {
  const bound = (payload: Record<string, unknown>) => {
    const whole = { v: 2, digest: specDigest(sample.spec), by: "ada", at: "", exp: seconds(now) + 60, ...payload };
    const body = Buffer.from(JSON.stringify(whole)).toString("base64url");
    return `vws2.${body}.${createHmac("sha256", APPROVAL_KEY).update(body).digest("hex")}`;
  };
  const check = (claim: string) =>
    verifyApprovalToken(claim, { operation: sample, key: APPROVAL_KEY, requireBound: true, now });

  test.each([
    ["by its uid", { uid: "u1" }],
    ["by namespace and name, before there is one", { ns: "org-a", op: "nightly" }],
    ["by all of them", { uid: "u1", ns: "org-a", op: "nightly" }],
  ])("is valid for the Operation that it names %s", (_, named) => {
    expect(check(bound(named))).toEqual({ ok: true, ends: new Date("2026-11-22T12:01:01Z") });
  });

  test("does not care in which order the parameters stand, nor what is said of approvals", () => {
    const { spec } = new Cluster().add({
      parameters: { storageLocation: "gold", ttl: "720h" },
      approvals: { required: true, claim: "x" },
    });
    expect(specDigest(spec)).toBe(specDigest(sample.spec));
    expect(specDigest(spec)).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ["another one of that name", { uid: "u2", ns: "org-a", op: "nightly" }, /another Operation/],
    ["one of that name in another namespace", { ns: "org-b", op: "nightly" }, /another Operation/],
    ["another one in the namespace", { ns: "org-a", op: "weekly" }, /another Operation/],
    ["other parameters", { uid: "u1", digest: specDigest({ ...sample.spec, parameters: {} }) }, /another request/],
    ["another target", { uid: "u1", digest: specDigest(new Cluster().add().spec) }, /another request/],
    ["anything", { uid: "u1", digest: undefined }, /malformed/],
    ["any namespace", { op: "nightly" }, /malformed/],
    ["any Operation", { ns: "org-a" }, /malformed/],
    ["what vws1 would be read for", { v: 1, rid: 7, op: "nightly" }, /malformed/],
    ["a time that is over", { uid: "u1", exp: seconds(now) - 2 }, /expired/],
  ])("is no approval if it is for %s", (_, payload, why) => {
    expect(check(bound(payload))).toMatchObject({ ok: false, why: expect.stringMatching(why) });
  });

  test("is demanded by a setting, which the old form then does not meet", () => {
    expect(check(signClaim({ op: "nightly" }))).toMatchObject({
      ok: false,
      why: expect.stringMatching(/old form vws1/),
    });
    // Only who has the key learns that much.
    expect(check(signClaim({ op: "nightly" }, "guessed"))).toMatchObject({ why: expect.stringMatching(/not signed/) });
  });
});

describe("an approval that the platform demands", () => {
  const mapping = { backupName: "b1", namespaceMapping: { "org-b": "org-a" } };
  const own = { backupName: "b1", namespaceMapping: { "org-a": "org-a" } };

  test.each<[string, object, OperationChange, RegExp | undefined]>([
    ["of a type", { types: ["Restore"] }, { type: "Restore" }, /for every Restore \(setting approvalRequired.types\)/],
    ["of another type", { types: ["Restore"] }, {}, undefined],
    ["in a namespace", { namespaces: ["org-a"] }, {}, /for every Operation in org-a .*approvalRequired.namespaces/],
    ["in another namespace", { namespaces: ["org-b"] }, {}, undefined],
    [
      "of a Restore from another namespace",
      { mappedNamespaces: true },
      { type: "Restore", parameters: mapping },
      /for every Restore from another namespace .*approvalRequired.mappedNamespaces/,
    ],
    ["of no Restore from its own", { mappedNamespaces: true }, { type: "Restore", parameters: own }, undefined],
    ["of no Restore without a mapping", { mappedNamespaces: true }, { type: "Restore" }, undefined],
  ])("%s holds whether or not the Operation asks for one", (_, approvalRequired, change, says) => {
    const cluster = new Cluster();
    cluster.settings = settingsSchema.parse({ approvalRequired });
    const operation = cluster.add({ name: "nightly", ...change, approvals: { required: false } });
    cluster.settle(operation);
    if (says === undefined) {
      expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
      return;
    }
    expect(conditionsOf(cluster.status(operation))).toContain("Blocked=True/AwaitingApproval");
    expect(messageOf(cluster.status(operation), "Blocked")).toMatch(says);
    cluster.approve(operation, signClaim({ op: "nightly" }));
    cluster.settle(operation);
    expect(conditionsOf(cluster.status(operation))).toContain("Accepted=True/TemplateValidated");
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
