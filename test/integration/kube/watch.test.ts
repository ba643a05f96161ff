import { beforeAll, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { ResourceCache } from "../../../src/kube/cache.ts";
import type { StreamEvent } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { kubeObjectSchema } from "../../../src/kube/metadata.ts";
import type { Resource } from "../../../src/kube/resource.ts";
import { configMaps, customResourceDefinitions } from "../../../src/kube/resources.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { connect, freshNamespace, silent } from "./connect.ts";

const client = connect(testCluster().kubeconfig);
const bookmark = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
let namespace: string;
beforeAll(async () => {
  namespace = await freshNamespace(client);
});

/** Options for everything that watches; ends with the test. */
function options() {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  return { signal: controller.signal, logger: silent, clock: systemClock, controller };
}

test("bookmarks are asked for and sent, so that a quiet watch resumes from where the server is", async () => {
  const { resourceVersion } = await client.list(configMaps, { namespace });
  const selection = { namespace, fieldSelector: "metadata.name=selected" };
  const opened = Promise.withResolvers<void>();
  // A change outside of the selection moves the server on, unseen by this watch.
  const moved = opened.promise.then(() => client.create(configMaps, { metadata: { namespace, name: "unselected" } }));
  const events: StreamEvent[] = [];
  const stream = { resourceVersion, signal: options().signal, timeoutSeconds: 6, onContact: opened.resolve };
  for await (const event of client.stream(configMaps, selection, stream)) events.push(event);
  const at = (await moved).metadata.resourceVersion;
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["BOOKMARK"]));
  // Other tests move the same server on.
  const { metadata } = bookmark.parse(events.at(-1)?.object);
  expect(BigInt(metadata.resourceVersion)).toBeGreaterThanOrEqual(BigInt(at));
});

test("one object is followed through its life, and through its namesake's", async () => {
  const { signal, logger, clock } = options();
  const object = { namespace, name: "followed" };
  const told: string[] = [];
  const watch = watchResource(client, configMaps, {
    namespace,
    fieldSelector: "metadata.name=followed",
    signal,
    logger,
    clock,
  });
  const next = async (count: number) => {
    told.length = 0;
    while (told.length < count) {
      const { value } = await watch.next();
      told.push(value.type === "synced" ? "synced" : `${value.type} ${value.object.data?.n}`);
    }
    return told;
  };
  expect(await next(1)).toEqual(["synced"]);
  await client.create(configMaps, { metadata: object, data: { n: "1" } });
  await client.create(configMaps, { metadata: { namespace, name: "other" } });
  await client.mergePatch(configMaps, object, { data: { n: "2" } });
  await client.delete(configMaps, object);
  await client.create(configMaps, { metadata: object, data: { n: "3" } });
  expect(await next(4)).toEqual(["added 1", "modified 2", "deleted 2", "added 3"]);
});

test("a condition is awaited on what exists, on what changes, and on what is gone", async () => {
  const object = { namespace, name: "awaited" };
  const created = await client.create(configMaps, { metadata: object });
  const seen = await awaitCondition(client, configMaps, object, (current) => current !== undefined, options());
  expect(seen).toEqual(created);
  const changed = awaitCondition(client, configMaps, object, (current) => current?.data?.done === "yes", options());
  await client.mergePatch(configMaps, object, { data: { done: "yes" } });
  expect((await changed)?.data).toEqual({ done: "yes" });
  const gone = awaitCondition(client, configMaps, object, (current) => current === undefined, options());
  await client.delete(configMaps, object);
  expect(await gone).toBeUndefined();
});

test("waiting ends with the caller's signal", async () => {
  const { controller, ...rest } = options();
  const waiting = awaitCondition(client, configMaps, { namespace, name: "never" }, (c) => c !== undefined, rest);
  controller.abort(new Error("deadline"));
  await expect(waiting).rejects.toThrow("deadline");
});

test("a cache shows what there is, tells what changes, and survives a listener that throws", async () => {
  const { signal, logger, clock } = options();
  await client.create(configMaps, {
    metadata: { namespace, name: "cached", labels: { cache: "yes" } },
    data: { n: "1" },
  });
  const cache = new ResourceCache(client, configMaps, { namespace, labelSelector: "cache=yes", logger, clock });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  cache.onChange(() => {
    throw new Error("a bug elsewhere");
  });
  cache.onChange((key, current, previous) => {
    if (previous !== undefined) resolve([key, previous.data?.n, current?.data?.n, cache.get(key) === current]);
  });
  expect(cache.lastContact).toBeUndefined();
  cache.run(signal).catch(() => undefined);
  await cache.synced;
  expect([...cache.values()].map(({ metadata }) => metadata.name)).toEqual(["cached"]);
  expect(cache.lastContact).toBeLessThanOrEqual(clock.monotonic());
  await client.mergePatch(configMaps, { namespace, name: "cached" }, { data: { n: "2" } });
  expect(await promise).toEqual([`${namespace}/cached`, "1", "2", true]);
});

test("a kind whose CRD is missing is empty, and is found as soon as the CRD is there, and empty again without", async () => {
  const group = `${namespace}.test.invalid`;
  const widgets: Resource = {
    group,
    version: "v1",
    plural: "widgets",
    kind: "Widget",
    namespaced: true,
    schema: kubeObjectSchema,
  };
  const crd = { name: `widgets.${group}` };
  const { signal, logger, clock } = options();
  const watch = watchResource(client, widgets, { signal, logger, clock, absentIsEmpty: true });
  const until = async (type: string) => {
    for (;;) {
      const { value } = await watch.next();
      if (value.type === type) return value.type === "synced" ? undefined : value.object.metadata.name;
    }
  };
  await until("synced");
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  await client.create(customResourceDefinitions, {
    metadata: crd,
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
      versions: [{ name: "v1", served: true, storage: true, schema }],
    },
  });
  await until("synced");
  await client.create(widgets, { metadata: { namespace, name: "w" } });
  expect(await until("added")).toBe("w");
  await client.delete(customResourceDefinitions, crd);
  expect(await until("deleted")).toBe("w");
});
