import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/kube/clock.ts";
import { isTransient } from "../../../src/kube/errors.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { retry } from "../../../src/kube/retry.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";
import { connect, freshNamespace, silent } from "./connect.ts";

// A cluster of its own: the other test files would feel its restarts.
let cluster: StartedCluster;
beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
});
afterAll(async () => await cluster?.down());

test("no transition is missed while the API server restarts, and none is told twice", async () => {
  const client = connect(cluster.kubeconfig);
  const namespace = await freshNamespace(client);
  const object = { namespace, name: "counted" };
  await client.create(configMaps, { metadata: object, data: { n: "0" } });
  const controller = new AbortController();
  const { signal } = controller;
  onTestFinished(() => controller.abort());
  const context = { signal, logger: silent, clock: systemClock };

  const told: string[] = [];
  const last = 300;
  const following = (async () => {
    for await (const event of watchResource(client, configMaps, { namespace, ...context })) {
      if (event.type === "synced") continue;
      if (event.object.metadata.name !== object.name) continue;
      told.push(event.object.data?.n ?? "");
      if (told.at(-1) === String(last)) return;
    }
  })();

  let restarted: Promise<void> | undefined;
  for (let n = 1; n <= last; n++) {
    if (n % 100 === 50) {
      await restarted;
      restarted = cluster.restartApiServer();
    }
    await retry(() => client.mergePatch(configMaps, object, { data: { n: String(n) } }), context);
  }
  await Promise.all([following, restarted]);
  expect(told).toEqual(Array.from({ length: last + 1 }, (_, n) => String(n)));
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
