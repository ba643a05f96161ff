import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { KubeClient } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { isTransient } from "../../../src/kube/errors.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { retry } from "../../../src/kube/retry.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";
import { connect, freshNamespace, silent } from "./connect.ts";
import { cuttingProxy } from "./cuttingProxy.ts";

// A cluster of its own: the other test files would feel its restarts.
let cluster: StartedCluster;
beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
});
afterAll(async () => await cluster?.down());

/** Counts up in a ConfigMap, and returns what a watch over `watched` told of it meanwhile. */
async function countAndFollow(
  writer: KubeClient,
  watched: KubeClient,
  last: number,
  disturb: (n: number) => Promise<void>,
) {
  const namespace = await freshNamespace(writer);
  const object = { namespace, name: "counted" };
  await writer.create(configMaps, { metadata: object, data: { n: "0" } });
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  const context = { signal: controller.signal, logger: silent, clock: systemClock };
  const selection = { namespace, fieldSelector: "metadata.name=counted" };
  const told: number[] = [];
  const synced = Promise.withResolvers<void>();
  const following = (async () => {
    for await (const event of watchResource(watched, configMaps, { ...selection, ...context })) {
      if (event.type === "synced") {
        synced.resolve();
        continue;
      }
      told.push(Number(event.object.data?.n));
      if (told.at(-1) === last) return;
    }
  })();
  await synced.promise;
  for (let n = 1; n <= last; n++) {
    await disturb(n);
    await retry(() => writer.mergePatch(configMaps, object, { data: { n: String(n) } }), context);
  }
  await following;
  return told;
}

test("no transition is missed or told twice, however often the connection is cut", async () => {
  const client = connect(cluster.kubeconfig);
  const proxy = await cuttingProxy(cluster.kubeconfig);
  const last = 200;
  const told = await countAndFollow(client, connect(proxy.kubeconfig), last, async (n) => {
    if (n % 20 === 0) proxy.cut();
  });
  expect(told).toEqual(Array.from({ length: last + 1 }, (_, n) => n));
});

test("after an API server restart the watch goes on, never backwards, and arrives at the last state", async () => {
  const client = connect(cluster.kubeconfig);
  let restarted: Promise<void> | undefined;
  const told = await countAndFollow(client, client, 300, async (n) => {
    if (n % 100 !== 50) return;
    await restarted;
    restarted = cluster.restartApiServer();
  });
  await restarted;
  expect(told).toEqual([...new Set(told)].toSorted((a, b) => a - b));
  // A restarted API server has no history: of what came and went while it was away only the end can be told.
  const gaps = told.filter((n, i) => i > 0 && n !== (told[i - 1] ?? 0) + 1);
  expect(gaps.length).toBeLessThanOrEqual(3);
});

test("a request into a restart fails as something to try again", async () => {
  const client = connect(cluster.kubeconfig);
  const restarted = cluster.restartApiServer();
  let failure: unknown;
  while (failure === undefined) {
    await client.list(configMaps, {}, { timeoutMs: 5_000 }).catch((error: unknown) => {
      failure = error;
    });
  }
  expect(isTransient(failure)).toBe(true);
  await restarted;
  await client.list(configMaps);
});
