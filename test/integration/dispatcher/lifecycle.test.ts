import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import pino from "pino";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { runDispatcher } from "../../../src/dispatcher/dispatcher.ts";
import { serve } from "../../../src/dispatcher/server.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { leases } from "../../../src/kube/resources.ts";
import { MAX_SILENCE_MS } from "../../../src/kube/watch.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
const folder = temporaryFolder();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

const leading = ({ msg }: { msg?: string | undefined }) => msg === "lease acquired";

async function ask(url: string, path: string): Promise<{ code: number; text: string }> {
  const response = await fetch(`${url}${path}`);
  return { code: response.status, text: await response.text() };
}

test("wrong settings are told, all of them, and end it before it does anything", async () => {
  const path = join(folder(), "settings.yaml");
  await writeFile(path, "clusterID: eu-1\nlimits: {maxConcurrent: none}\n");
  const dispatcher = fixture.dispatcher({
    OPERATION_RUNNER_SETTINGS: path,
    OPERATION_RUNNER_APPROVAL_KEY_FILE: "/none",
  });
  expect(await dispatcher.ended()).toBe(78);
  expect(dispatcher.stderr).toContain("clusterID: unknown setting");
  expect(dispatcher.stderr).toContain("limits.maxConcurrent: must be a whole number");
  expect(dispatcher.log).toEqual([]);
});

test("it is ready when it has read everything, and alive before that", async () => {
  const kubeconfig = join(folder(), "kubeconfig");
  const cluster = { name: "none", cluster: { server: "http://127.0.0.1:1" } };
  const contexts = [{ name: "none", context: { cluster: "none", user: "none" } }];
  const users = [{ name: "none", user: {} }];
  await writeFile(kubeconfig, JSON.stringify({ clusters: [cluster], contexts, users, "current-context": "none" }));
  const blind = await fixture.dispatcher({ KUBECONFIG: kubeconfig }).url();
  expect(await ask(blind, "/healthz")).toMatchObject({ code: 200 });
  const { code, text } = await ask(blind, "/readyz");
  expect(code).toBe(503);
  expect(text).toContain("watch of operations.ops.vworkspace.io");

  const dispatcher = fixture.dispatcher();
  await dispatcher.logged(leading);
  expect(await ask(await dispatcher.url(), "/readyz")).toEqual({ code: 200, text: "ready\n" });
});

test("it is not ready while it may be blind: nothing was heard for longer than a living watch is silent", async () => {
  const end = new AbortController();
  const { promise: url, resolve } = Promise.withResolvers<string>();
  const { promise: leads, resolve: lead } = Promise.withResolvers<void>();
  const lines = new Writable({
    write(line, _, done) {
      const { url, msg } = JSON.parse(String(line));
      if (url !== undefined) resolve(url);
      if (msg === "lease acquired") lead();
      done();
    },
  });
  let skipped = 0;
  const running = runDispatcher({
    client: fixture.client,
    // The watches still hear the server; only this clock believes that they do not.
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + skipped },
    logger: pino(lines),
    settings: settingsSchema.parse(fixture.settings),
    approvalKey: undefined,
    settingsValid: () => true,
    identity: "test",
    serve: (parts) => serve({ listen: "127.0.0.1:0", ...parts }),
    signal: end.signal,
  });
  await leads;
  expect(await ask(await url, "/readyz")).toMatchObject({ code: 200 });
  skipped = 2 * MAX_SILENCE_MS;
  const { code, text } = await ask(await url, "/readyz");
  expect(code).toBe(503);
  expect(text).toContain("stale: the watch of jobs.batch has been silent for too long");
  end.abort(new Error("done"));
  await running;
});

test("the second is ready and does nothing; it takes over at once when the first is asked to end", async () => {
  const first = fixture.dispatcher();
  await first.logged(leading);
  const second = fixture.dispatcher();
  await second.logged(({ msg }) => msg === "another candidate holds the lease");
  expect(await ask(await second.url(), "/readyz")).toMatchObject({ code: 200 });
  expect((await ask(await second.url(), "/metrics")).text).toContain("operation_runner_leader 0");
  await fixture.target();
  await fixture.job(await fixture.operation({ name: "one" }));
  expect(await first.stop("SIGTERM")).toBe(0);
  await fixture.job(await fixture.operation({ name: "two" }));
  expect(second.log.filter(leading)).toHaveLength(1);
  expect(await second.stop("SIGINT")).toBe(0);
});

test("it ends, to be started again, when the Lease is taken from it", async () => {
  const dispatcher = fixture.dispatcher();
  await dispatcher.logged(leading);
  const lease = { namespace: fixture.jobNamespace, name: "operation-dispatcher" };
  await fixture.client.mergePatch(leases, lease, { spec: { holderIdentity: "somebody else" } });
  expect(await dispatcher.ended()).toBe(1);
});

test("the metrics tell what is under way, what waits and why, and what ended", async () => {
  const dispatcher = fixture.dispatcher({ OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "1" });
  await fixture.target();
  await fixture.job(await fixture.operation({ name: "done" }));
  await fixture.succeed("done");
  await fixture.job(await fixture.operation({ name: "active" }));
  await fixture.operation({ name: "queued" });
  await fixture.says("queued", "Running=False/Queued");
  await fixture.operation({ name: "blocked", parameters: { storageLocation: "none" } });
  await fixture.says("blocked", "Blocked=True/StorageLocationUnavailable");
  const { text } = await ask(await dispatcher.url(), "/metrics");
  for (const line of [
    'operation_runner_operations_total{type="Backup",result="succeeded"} 1',
    'operation_runner_operation_duration_seconds_count{type="Backup",result="succeeded"} 1',
    'operation_runner_operations_active{type="Backup"} 1',
    'operation_runner_operations_queued{type="Backup"} 1',
    'operation_runner_operations_blocked{reason="StorageLocationUnavailable"} 1',
    'operation_runner_template_valid{type="Restore"} 1',
    "operation_runner_leader 1",
  ]) {
    expect(text).toContain(line);
  }
  expect(text).toMatch(
    new RegExp(`last_success_timestamp_seconds{namespace="${fixture.tenant}",type="Backup"} \\d{10}`),
  );
});
