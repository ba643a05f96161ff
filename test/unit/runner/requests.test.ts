import { expect, test, vi } from "vitest";
import { rehearse } from "../../../src/build/rehearsal.ts";
import { main } from "../../../src/runner/main.ts";

// docs/performance.md says why each of them is there. Velero is quick here: there is no write in between, and its answers are
// there before anybody waits for them.
test("what a runner asks the API server for a quiet backup is what the documentation lists", async () => {
  vi.stubEnv("LOG_LEVEL", "silent");
  const { exitCode, requests } = await rehearse(main);
  vi.unstubAllEnvs();
  expect(exitCode).toBe(0);
  expect(requests.slice(0, 4)).toEqual([
    "get operations",
    "get namespaces",
    "update operations/status",
    "create backups",
  ]);
  expect(requests.toSorted()).toEqual([
    "create backups",
    "create downloadrequests",
    "create downloadrequests",
    "create events",
    "create events",
    "delete downloadrequests",
    "delete downloadrequests",
    "get namespaces",
    "get operations",
    "list podvolumebackups",
    "update operations/status",
    "update operations/status",
    "update operations/status",
    "watch backups",
    "watch operations",
  ]);
});
