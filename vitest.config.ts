import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { driverChoice } from "./test/cluster/driverChoice.ts";
import { whyNoKind } from "./test/cluster/kind/kind.ts";

const minutes = 60_000;

/** Timeouts are for a test that hangs, not a measure of speed: a slow machine has all the time it needs. */
const onCluster: TestProjectInlineConfiguration["test"] = {
  globalSetup: ["test/cluster/globalSetup.ts"],
  pool: "forks",
  testTimeout: 3 * minutes,
  hookTimeout: 5 * minutes,
  // Real components on a busy machine: a test that only passes at its second try is reported as such.
  retry: 1,
  // Each file may have a cluster of its own.
  maxWorkers: 2,
};

/**
 * Quick answers first; then what needs clusters, whose files mostly wait for what runs in these. Counted from 1: vitest
 * puts group 0 at the end where it has one worker only.
 */
const inTurn = (groupOrder: number) => ({ sequence: { groupOrder } });

/** On a cluster that all files share, they take turns. */
async function e2e(): Promise<TestProjectInlineConfiguration["test"]> {
  const include = ["test/e2e/**/*.test.ts"];
  const { driver } = driverChoice(process.env);
  if (driver === "embedded") return { include, ...onCluster, ...inTurn(2) };
  const unavailable = driver === "kind" ? await whyNoKind(process.env) : undefined;
  if (unavailable === undefined) return { include, ...onCluster, maxWorkers: 1, ...inTurn(3) };
  return { include: ["test/cluster/kind/unavailable.test.ts"], provide: { unavailable }, ...inTurn(3) };
}

export default defineConfig({
  test: {
    reporters: ["default", "./test/progressReporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: minutes,
          hookTimeout: minutes,
          ...inTurn(1),
        },
      },
      {
        test: { name: "integration", include: ["test/integration/**/*.test.ts"], ...onCluster, ...inTurn(2) },
      },
      { test: { name: "e2e", ...(await e2e()) } },
    ],
  },
});
