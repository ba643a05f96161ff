import { expect, test } from "vitest";
import { Claims } from "../../../../src/dispatcher/state/pendingWrites.ts";
import { backupOperation } from "../sampleOperation.ts";

const base = backupOperation();
const status = { phase: "Pending" as const };
const written = { ...base, status, metadata: { ...base.metadata, resourceVersion: "8" } };

test("a status counts from the moment in which it is decided", () => {
  const claims = new Claims();
  expect(claims.current(base)).toBe(base);
  claims.begin(base, status);
  expect(claims.current(base)).toMatchObject({ metadata: { resourceVersion: "7" }, status });
  // It may still fail, so its Operation may be decided again.
  expect(claims.awaitsEcho(base)).toBe(false);
});

test("after the write there is nothing to decide until the watch shows it", () => {
  const claims = new Claims();
  claims.begin(base, status);
  claims.confirm(base, written);
  expect(claims.current(base)).toBe(written);
  expect(claims.awaitsEcho(base)).toBe(true);
  const echo = structuredClone(written);
  expect(claims.current(echo)).toBe(echo);
  expect(claims.awaitsEcho(echo)).toBe(false);
});

test("a refused write does not count", () => {
  const claims = new Claims();
  claims.begin(base, status);
  claims.drop(base);
  expect(claims.current(base)).toBe(base);
});

test("a write that changed nothing has no echo to wait for", () => {
  const claims = new Claims();
  claims.begin(base, status);
  claims.confirm(base, base);
  expect(claims.awaitsEcho(base)).toBe(false);
});
