import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const minutes = 60_000;

/** Timeouts are for a test that hangs, not a measure of speed: a slow machine has all the time it needs. */
const onCluster: TestProjectInlineConfiguration["test"] = {
  globalSetup: ["test/cluster/globalSetup.ts"],
  pool: "forks",
  testTimeout: 3 * minutes,
  hookTimeout: 5 * minutes,
};

/** One project after the other, quickest answer first: side by side they would only wait for each other. */
const inTurn = (groupOrder: number) => ({ sequence: { groupOrder } });

export default defineConfig({
  test: {
    reporters: ["default", "./test/progressReporter.ts"],
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: minutes, ...inTurn(0) } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          // Each may have a cluster of its own beside the shared one.
          maxWorkers: 2,
          ...onCluster,
          ...inTurn(1),
        },
      },
      // One file at a time: they share one Velero, which works on one backup at a time.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          ...onCluster,
          ...inTurn(2),
        },
      },
    ],
  },
});
