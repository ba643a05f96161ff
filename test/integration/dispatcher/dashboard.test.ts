import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { operations } from "../../../src/api/operation.ts";
import { storageLocations } from "../../../src/api/velero.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { ensurePrograms } from "../../cluster/toolchain/toolchain.ts";
import { startPrometheus } from "../../scenario/prometheus.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
const folder = temporaryFolder();
let fixture: DispatcherFixture;
let program: string;

beforeAll(async () => {
  await installApis(cluster, { snapshots: true });
  ({ prometheus: program } = await ensurePrograms(["prometheus"], { env: process.env, progress: console.error }));
}, 1_200_000);
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

test("promtool finds nothing to object to in the dispatcher's own metrics", async () => {
  const { promtool } = await ensurePrograms(["promtool"], { env: process.env, progress: console.error });
  const dispatcher = fixture.dispatcher();
  const metrics = await (await fetch(new URL("/metrics", await dispatcher.url()))).text();
  // Those of Node and the process are named by prom-client.
  const own = metrics.split("\n").filter((line) => /^(# (HELP|TYPE) )?operation_runner_/.test(line));
  expect(own.length).toBeGreaterThan(20);
  const child = spawn(promtool, ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(`${own.join("\n")}\n`);
  const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(said + complained).toBe("");
});

const COMPONENT = "manifests/components/prometheus";
const configMapSchema = z.object({ data: z.object({ "operation-runner.json": z.string() }) });
const dashboardSchema = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
});

test("every query of the dashboard has data from a Prometheus that scraped a dispatcher, and every alert can be judged", async () => {
  await fixture.client.create(storageLocations, {
    metadata: { namespace: fixture.veleroNamespace, name: "default" },
    spec: { default: true, provider: "aws", objectStorage: { bucket: "none" } },
    status: { phase: "Available" },
  });
  const dispatcher = fixture.dispatcher({ OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "1" });
  await fixture.target();
  await fixture.target("never");
  const target = new URL(await dispatcher.url()).host;
  const prometheus = await startPrometheus({ program, folder: folder(), target });
  onTestFinished(prometheus.stop);

  await fixture.job(await fixture.operation({ name: "good" }));
  await fixture.succeed("good");
  const drilled = { "ops.vworkspace.io/last-drill": `${new Date().toISOString()} Passed` };
  await fixture.client.mergePatch(
    operations,
    { namespace: fixture.tenant, name: "good" },
    { metadata: { annotations: drilled } },
  );
  await fixture.job(await fixture.operation({ name: "bad", type: "Restore", parameters: { backupName: "good" } }));
  await fixture.report("bad", { phase: "Failed" });
  await fixture.job(await fixture.operation({ name: "active" }));
  await fixture.operation({ name: "queued" });
  await fixture.says("queued", "Running=False/Queued");
  await fixture.operation({ name: "blocked", parameters: { storageLocation: "none" } });
  await fixture.says("blocked", "Blocked=True/StorageLocationUnavailable");

  const file = configMapSchema.parse(parse(await readFile(`${COMPONENT}/dashboard.yaml`, "utf8")));
  const { panels } = dashboardSchema.parse(JSON.parse(file.data["operation-runner.json"]));
  expect(panels.length).toBeGreaterThan(10);
  for (const { expr } of panels.flatMap(({ targets }) => targets)) {
    await expect.poll(() => prometheus.query(expr), { timeout: 60_000, message: expr }).not.toEqual([]);
  }
  const judged = await prometheus.rules();
  expect(judged.length).toBeGreaterThan(10);
  expect(judged.filter(({ health }) => health !== "ok")).toEqual([]);
});
