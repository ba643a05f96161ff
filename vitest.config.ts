import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const minutes = 60_000;

/** Timeouts are for a test that hangs, not a measure of speed: a slow machine has all the time it needs. */
const onCluster: TestProjectInlineConfiguration["test"] = {
  globalSetup: ["test/cluster/globalSetup.ts"],
  pool: "forks",
  testTimeout: 3 * minutes,
  hookTimeout: 5 * minutes,
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: minutes } },
      { test: { name: "integration", include: ["test/integration/**/*.test.ts"], ...onCluster } },
      // One file at a time: they share one Velero, which works on one backup at a time.
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], fileParallelism: false, ...onCluster } },
    ],
  },
});
