import { expect, test } from "vitest";
import { WritesInFlight } from "../../../../src/dispatcher/state/writesInFlight.ts";
import { backupOperation } from "../sampleOperation.ts";

const base = backupOperation();
const status = { phase: "Pending" as const };
const written = { ...base, status, metadata: { ...base.metadata, resourceVersion: "8" } };

test("a status counts from the moment in which it is decided", () => {
  const writes = new WritesInFlight();
  expect(writes.current(base)).toBe(base);
  writes.begin(base, status);
  expect(writes.current(base)).toMatchObject({ metadata: { resourceVersion: "7" }, status });
  // It may still fail, so its Operation may be decided again.
  expect(writes.awaitsEcho(base)).toBe(false);
});

test("after the write there is nothing to decide until the watch shows it", () => {
  const writes = new WritesInFlight();
  writes.begin(base, status);
  writes.confirm(base, written);
  expect(writes.current(base)).toBe(written);
  expect(writes.awaitsEcho(base)).toBe(true);
  const echo = structuredClone(written);
  expect(writes.current(echo)).toBe(echo);
  expect(writes.awaitsEcho(echo)).toBe(false);
});

test("a refused write does not count", () => {
  const writes = new WritesInFlight();
  writes.begin(base, status);
  writes.drop(base);
  expect(writes.current(base)).toBe(base);
});

test("a write that changed nothing has no echo to wait for", () => {
  const writes = new WritesInFlight();
  writes.begin(base, status);
  writes.confirm(base, base);
  expect(writes.awaitsEcho(base)).toBe(false);
});
