import { expect, onTestFinished, test, vi } from "vitest";
import type { KubeClient } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import type { ConfigMap } from "../../../src/kube/resources.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { MAX_SILENCE_MS, type WatchEvent, type WatchOptions, watchResource } from "../../../src/kube/watch.ts";
import { FakeClock } from "./fakeClock.ts";
import { configMap, type Exchange, listOf, recordingLogger, serve, status } from "./loopback.ts";

/** Follows ConfigMaps and hands out what the watch tells, one by one, as short text. */
function follow(client: KubeClient, options: Partial<WatchOptions<ConfigMap>> = {}) {
  const controller = new AbortController();
  const { logger, lines } = recordingLogger();
  const watch = watchResource(client, configMaps, {
    signal: controller.signal,
    logger,
    clock: systemClock,
    ...options,
  });
  const pending = new Set<Promise<unknown>>();
  onTestFinished(async () => {
    controller.abort();
    await Promise.allSettled(pending);
  });
  const take = async (count: number): Promise<string[]> => {
    const told: string[] = [];
    while (told.length < count) told.push(describe((await watch.next()).value));
    return told;
  };
  const next = (count: number): Promise<string[]> => {
    const told = take(count);
    pending.add(told);
    return told;
  };
  return { next, lines, controller };
}

function describe(event: WatchEvent<ConfigMap>): string {
  if (event.type === "synced") return "synced";
  return `${event.type} ${event.object.metadata.name}@${event.object.metadata.resourceVersion}`;
}

/** Answers the n-th list with the n-th of `lists` (the last one again and again), and the n-th watch by the n-th of `watches`. */
function script(lists: unknown[], watches: ((exchange: Exchange) => void)[]) {
  const asked: string[] = [];
  let listed = 0;
  let watched = 0;
  const handler = (exchange: Exchange) => {
    const { url } = exchange;
    if (url.searchParams.get("watch") === null) {
      asked.push("list");
      exchange.json(200, lists[Math.min(listed++, lists.length - 1)]);
      return;
    }
    asked.push(`watch from ${url.searchParams.get("resourceVersion")}`);
    const answer = watches[watched++];
    // Past the script the stream stays open and silent.
    if (answer === undefined) exchange.response.flushHeaders();
    else answer(exchange);
  };
  return { asked, handler };
}

test("a watch that begins at an object which was just read lists nothing", async () => {
  const { asked, handler } = script([], [({ send }) => send({ type: "MODIFIED", object: configMap("a", 11) })]);
  const { client } = await serve(handler);
  const { next } = follow(client, { from: configMap("a", 9) });
  expect(await next(3)).toEqual(["added a@9", "synced", "modified a@11"]);
  expect(asked).toEqual(["watch from 9"]);
});

test("when the server no longer knows where such a watch begins, it lists, and tells the difference", async () => {
  const expired = ({ json }: Exchange) => json(410, status(410, "Expired", "too old resource version"));
  const { asked, handler } = script([listOf(20, configMap("b", 15))], [expired]);
  const { client } = await serve(handler);
  const { next } = follow(client, { from: configMap("a", 9) });
  expect(await next(5)).toEqual(["added a@9", "synced", "deleted a@9", "added b@15", "synced"]);
  expect(asked.slice(0, 2)).toEqual(["watch from 9", "list"]);
});

test("a cut connection is resumed at once from the last event, half a line is told once it arrives whole", async () => {
  const whole = JSON.stringify({ type: "MODIFIED", object: configMap("a", 12) });
  const { asked, handler } = script(
    [listOf(10, configMap("a", 9))],
    [
      ({ send, response }) => {
        send({ type: "MODIFIED", object: configMap("a", 11) }, whole.slice(0, whole.length / 2));
        setImmediate(() => response.destroy());
      },
      ({ send }) => send(`${whole}\n`),
    ],
  );
  const { next } = follow((await serve(handler)).client);
  expect(await next(4)).toEqual(["added a@9", "synced", "modified a@11", "modified a@12"]);
  expect(asked).toEqual(["list", "watch from 10", "watch from 11"]);
});

test("a stream that the server ends is resumed from the last bookmark", async () => {
  const { asked, handler } = script(
    [listOf(10)],
    [
      ({ send, response }) => {
        send({ type: "BOOKMARK", object: { kind: "ConfigMap", metadata: { resourceVersion: "500" } } });
        response.end();
      },
      ({ send }) => send({ type: "ADDED", object: configMap("a", 501) }),
    ],
  );
  const { next } = follow((await serve(handler)).client);
  expect(await next(2)).toEqual(["synced", "added a@501"]);
  expect(asked).toEqual(["list", "watch from 10", "watch from 500"]);
});

const expired = status(410, "Expired", "too old resource version: 10 (500)");

test.each([
  ["as the answer", ({ json }: Exchange) => json(410, expired)],
  ["in the stream", ({ send }: Exchange) => send({ type: "ERROR", object: expired })],
])("410 %s lists again and tells only what differs, deletions included", async (_, refuse) => {
  const before = [configMap("gone", 1), configMap("same", 2), configMap("changed", 3), configMap("remade", 4)];
  const remade = configMap("remade", 400);
  remade.metadata.uid = "another";
  const after = [configMap("same", 2), configMap("changed", 300), remade, configMap("new", 500)];
  const { asked, handler } = script(
    [listOf(10, ...before), listOf(500, ...after)],
    [refuse, ({ send }) => send({ type: "MODIFIED", object: configMap("same", 501) })],
  );
  const { next } = follow((await serve(handler)).client);
  expect(await next(5)).toEqual(["added gone@1", "added same@2", "added changed@3", "added remade@4", "synced"]);
  expect(await next(7)).toEqual([
    "deleted gone@1",
    "modified changed@300",
    "deleted remade@4",
    "added remade@400",
    "added new@500",
    "synced",
    "modified same@501",
  ]);
  expect(asked).toEqual(["list", "watch from 10", "list", "watch from 500"]);
});

test("a resourceVersion from the future, as after a restore of etcd, lists again", async () => {
  const future = status(504, "Timeout", "Too large resource version: 10, current: 3", {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
  });
  const { asked, handler } = script([listOf(10, configMap("a", 9)), listOf(3)], [({ json }) => json(504, future)]);
  const { next } = follow((await serve(handler)).client);
  expect(await next(4)).toEqual(["added a@9", "synced", "deleted a@9", "synced"]);
  void next(1);
  await vi.waitFor(() => expect(asked).toEqual(["list", "watch from 10", "list", "watch from 3"]));
});

test("an overloaded server is tried again from the same place, with a wait", async () => {
  const { asked, handler } = script(
    [listOf(10)],
    [
      ({ json }) => json(429, status(429, "TooManyRequests", "busy")),
      ({ json }) => json(500, status(500, "InternalError", "etcdserver: leader changed")),
      ({ send }) => send({ type: "ADDED", object: configMap("a", 11) }),
    ],
  );
  const { next, lines } = follow((await serve(handler)).client);
  expect(await next(2)).toEqual(["synced", "added a@11"]);
  expect(asked).toEqual(["list", "watch from 10", "watch from 10", "watch from 10"]);
  expect(lines.filter(({ level }) => level === 40)).toMatchObject([{ failures: 1 }, { failures: 2 }]);
});

test.each([
  ["as the answer", ({ json }: Exchange) => json(500, status(500, "InternalError", "unable to decode"))],
  [
    "in the stream",
    ({ send }: Exchange) => send({ type: "ERROR", object: status(500, "InternalError", "unable to decode") }),
  ],
])("a position at which the server answers 500 %s, again and again, is given up: it lists again", async (_, fail) => {
  const { asked, handler } = script(
    [listOf(10, configMap("a", 9)), listOf(20, configMap("a", 15))],
    [fail, fail, fail, ({ send }) => send({ type: "MODIFIED", object: configMap("a", 21) })],
  );
  const { next } = follow((await serve(handler)).client);
  expect(await next(5)).toEqual(["added a@9", "synced", "modified a@15", "synced", "modified a@21"]);
  expect(asked).toEqual(["list", ...Array(3).fill("watch from 10"), "list", "watch from 20"]);
});

test.each([
  ["ends every stream at once", ({ response }: Exchange) => response.end(), ["watch from 10", "watch from 10"]],
  ["calls every position expired", ({ json }: Exchange) => json(410, expired), ["watch from 10"]],
])("a server that %s is not hammered", async (_, answer, watches) => {
  const { asked, handler } = script([listOf(10)], Array(50).fill(answer));
  const clock = new FakeClock();
  const { next, controller, lines } = follow((await serve(handler)).client, { clock });
  expect(await next(1)).toEqual(["synced"]);
  const pending = next(1);
  // The first end may be chance and is resumed at once; then it waits, on a clock that stands still.
  await vi.waitFor(() => expect(lines.at(-1)).toMatchObject({ msg: "watch failed, will try again" }));
  expect(asked).toEqual(["list", ...watches]);
  controller.abort(new Error("enough"));
  await expect(pending).rejects.toThrow("enough");
});

test("a line that is no JSON loses nothing: it lists again", async () => {
  const { asked, handler } = script(
    [listOf(10), listOf(12, configMap("a", 11))],
    [({ send }) => send("<html>proxy error</html>\n")],
  );
  const { next, lines } = follow((await serve(handler)).client);
  expect(await next(3)).toEqual(["synced", "added a@11", "synced"]);
  void next(1);
  await vi.waitFor(() => expect(asked).toEqual(["list", "watch from 10", "list", "watch from 12"]));
  expect(lines.some(({ msg }) => msg === "watch failed, will try again")).toBe(true);
});

test("an object that does not parse is logged and skipped; what was known of it stays", async () => {
  const { metadata, ...rest } = configMap("broken", 11);
  const broken = { ...rest, metadata: { ...metadata, uid: undefined } };
  const { handler } = script(
    [listOf(10, configMap("broken", 9)), listOf(20, broken)],
    [
      ({ send }) =>
        send(
          { type: "MODIFIED", object: broken },
          { type: "ADDED", object: configMap("fine", 12) },
          { type: "ERROR", object: expired },
        ),
      ({ send }) => send({ type: "MODIFIED", object: configMap("broken", 21) }),
    ],
  );
  const { next, lines } = follow((await serve(handler)).client);
  expect(await next(6)).toEqual([
    "added broken@9",
    "synced",
    "added fine@12",
    "deleted fine@12",
    "synced",
    "modified broken@21",
  ]);
  const skipped = lines.filter(({ msg }) => msg === "skipped an object that does not parse");
  expect(skipped).toHaveLength(2);
  expect(JSON.stringify(skipped[0])).toContain("org-a/broken");
});

test("a silent connection is given up and resumed", async () => {
  const { asked, handler } = script(
    [listOf(10)],
    [({ response }) => response.flushHeaders(), ({ send }) => send({ type: "ADDED", object: configMap("a", 11) })],
  );
  const clock = new FakeClock();
  let contacts = 0;
  const { next } = follow((await serve(handler)).client, { clock, onContact: () => contacts++ });
  expect(await next(1)).toEqual(["synced"]);
  const pending = next(1);
  // One contact is the list, the other the open stream.
  await vi.waitFor(() => expect(contacts).toBe(2));
  await clock.advance(MAX_SILENCE_MS - 1);
  expect(asked).toEqual(["list", "watch from 10"]);
  await clock.advance(1);
  expect(await pending).toEqual(["added a@11"]);
  expect(asked).toEqual(["list", "watch from 10", "watch from 10"]);
});

test("a server that is away is waited for, and nothing but the signal ends the watch", async () => {
  const clock = new FakeClock();
  const { handler } = script([listOf(10)], []);
  const server = await serve(handler);
  server.close();
  const { next, controller, lines } = follow(server.client, { clock });
  const pending = next(1);
  await vi.waitFor(async () => {
    await clock.advance(10_000);
    expect(lines.at(-1)).toMatchObject({
      msg: "watch failed, will try again",
      failures: expect.toSatisfy((n) => n > 9),
    });
  });
  controller.abort(new Error("SIGTERM"));
  await expect(pending).rejects.toThrow("SIGTERM");
});

test("a kind that is not installed has no objects until its CRD is there", async () => {
  let installed = false;
  const crdWatches: Exchange[] = [];
  const crd = (resourceVersion: string, established: string) => ({
    ...configMap("configmaps", resourceVersion),
    status: { conditions: [{ type: "Established", status: established }] },
  });
  const server = await serve((exchange) => {
    const { url, json, response } = exchange;
    const watching = url.searchParams.get("watch") !== null;
    if (url.pathname.endsWith("/customresourcedefinitions")) {
      if (watching) crdWatches.push(exchange);
      else json(200, listOf(1));
      if (watching) response.flushHeaders();
    } else if (!installed) {
      response.writeHead(404, { "Content-Type": "text/plain" });
      response.end("404 page not found\n");
    } else if (watching) response.flushHeaders();
    else json(200, listOf(3, configMap("a", 3)));
  });
  const { next } = follow(server.client, { absentIsEmpty: true });
  expect(await next(1)).toEqual(["synced"]);
  const pending = next(2);
  await vi.waitFor(() => expect(crdWatches).toHaveLength(1));
  crdWatches[0]?.send({ type: "ADDED", object: crd("2", "False") });
  installed = true;
  crdWatches[0]?.send({ type: "MODIFIED", object: crd("3", "True") });
  expect(await pending).toEqual(["added a@3", "synced"]);
});
