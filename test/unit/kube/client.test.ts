import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import {
  ApiError,
  isAlreadyExists,
  isConflict,
  isGone,
  isTransient,
  UnreachableError,
} from "../../../src/kube/errors.ts";
import { configMaps, namespaces, pods } from "../../../src/kube/resources.ts";
import { configMap, type Exchange, listOf, serve, status } from "./loopback.ts";

const a = { namespace: "org-a", name: "a" };

/** What a call fails with. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => expect.fail("the call succeeded"),
    (error: unknown) => error,
  );
}

test("a refusal names the call and the server's words", async () => {
  const words = 'configmaps "a" is forbidden: User "x" cannot get resource "configmaps"';
  const { client } = await serve(({ json }) => json(403, status(403, "Forbidden", words)));
  const error = await failureOf(client.get(configMaps, a));
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    code: 403,
    reason: "Forbidden",
    message: `get configmaps org-a/a: 403 Forbidden: ${words}`,
  });
});

test("an answer that is no Status, as a proxy's, is passed on as it is", async () => {
  const { client } = await serve(({ response }) => {
    response.writeHead(502).end("Bad Gateway\n");
  });
  await expect(client.list(namespaces)).rejects.toThrow("list namespaces: 502: Bad Gateway");
});

test("a page that is no answer of an API server is not taken for one", async () => {
  const { client } = await serve(({ response }) => {
    response.writeHead(200).end("<html>please log in</html>");
  });
  await expect(client.get(configMaps, a)).rejects.toThrow("something else answered: <html>please log in</html>");
});

test("the time to wait comes from the header or from the Status", async () => {
  const answers = [
    ({ json }: Exchange) => json(429, status(429, "TooManyRequests", "busy"), { "Retry-After": "7" }),
    ({ json }: Exchange) => json(429, status(429, "TooManyRequests", "busy", { retryAfterSeconds: 3 })),
    ({ json }: Exchange) => json(500, status(500, "InternalError", "oops")),
  ];
  const { client } = await serve((exchange) => answers.shift()?.(exchange));
  expect(await failureOf(client.get(configMaps, a))).toMatchObject({ retryAfterMs: 7000 });
  expect(await failureOf(client.get(configMaps, a))).toMatchObject({ retryAfterMs: 3000 });
  expect(await failureOf(client.get(configMaps, a))).toMatchObject({ retryAfterMs: undefined });
});

test.each([
  [status(409, "AlreadyExists", "taken"), { exists: true, conflict: false, transient: false }],
  [status(409, "Conflict", "the object has been modified"), { exists: false, conflict: true, transient: false }],
  [status(401, "Unauthorized", "Unauthorized"), { exists: false, conflict: false, transient: false }],
  [
    status(403, "Forbidden", "exceeded quota: q, requested: pods=1"),
    { exists: false, conflict: false, transient: true },
  ],
  [status(403, "Forbidden", "not yours"), { exists: false, conflict: false, transient: false }],
  [status(404, "NotFound", "not found"), { exists: false, conflict: false, transient: false }],
  [status(422, "Invalid", "invalid"), { exists: false, conflict: false, transient: false }],
  [status(429, "TooManyRequests", "busy"), { exists: false, conflict: false, transient: true }],
  [status(500, "InternalError", "etcdserver: leader changed"), { exists: false, conflict: false, transient: true }],
  [status(503, "ServiceUnavailable", "starting"), { exists: false, conflict: false, transient: true }],
])("$code $reason is told apart", async (answer, expected) => {
  const { client } = await serve(({ json }) => json(answer.code, answer));
  const error = await failureOf(client.create(configMaps, { metadata: a }));
  expect({ exists: isAlreadyExists(error), conflict: isConflict(error), transient: isTransient(error) }).toEqual(
    expected,
  );
});

test("no answer in time is an UnreachableError, and the next call does not wait behind it", async () => {
  let silent = true;
  const { client, connections } = await serve(({ json }) => {
    if (!silent) json(200, configMap("a", 1));
  });
  const error = await failureOf(client.get(configMaps, a, { timeoutMs: 20 }));
  expect(error).toBeInstanceOf(UnreachableError);
  expect(error).toMatchObject({ message: "get configmaps org-a/a: no answer from the API server: none within 0.02 s" });
  expect(isTransient(error)).toBe(true);
  silent = false;
  await client.get(configMaps, a);
  expect(connections()).toBe(2);
});

test("a server that is not there, and one that hangs up in the middle, are transient", async () => {
  const server = await serve(({ response }) => {
    response.writeHead(200, { "Content-Length": "1000" });
    response.write("{");
    setImmediate(() => response.destroy());
  });
  expect(isTransient(await failureOf(server.client.get(configMaps, a)))).toBe(true);
  server.close();
  const refused = await failureOf(server.client.get(configMaps, a));
  expect(refused).toMatchObject({ message: expect.stringContaining("ECONNREFUSED") });
  expect(isTransient(refused)).toBe(true);
});

test("the caller's signal ends a call with the caller's reason", async () => {
  const controller = new AbortController();
  const { client } = await serve(() => controller.abort(new Error("SIGTERM")));
  await expect(client.get(configMaps, a, { signal: controller.signal })).rejects.toThrow("SIGTERM");
  await expect(client.get(configMaps, a, { signal: controller.signal })).rejects.toThrow("SIGTERM");
});

test("connections are reused, and who asks is written on every request", async () => {
  const seen: unknown[] = [];
  const { client, connections } = await serve(({ request, json }) => {
    seen.push([request.headers["user-agent"], request.headers.authorization]);
    json(200, configMap("a", 1));
  });
  for (let i = 0; i < 20; i++) await client.get(configMaps, a);
  // A call may come just before the connection of the last one is free again.
  expect(connections()).toBeLessThanOrEqual(2);
  expect(new Set(seen.map((headers) => JSON.stringify(headers)))).toEqual(
    new Set([JSON.stringify(["operation-runner/1.2.3 (test)", "Bearer t0ken"])]),
  );
});

test("what a deletion says arrives with it, and not in front of the next call", async () => {
  const seen: [string | undefined, string][] = [];
  const { client } = await serve(async ({ request, json }) => {
    seen.push([request.method, await text(request)]);
    json(200, configMap("a", 1));
  });
  await client.delete(configMaps, a, { preconditions: { uid: "u\u00e9" } });
  await client.get(configMaps, a);
  expect(seen).toEqual([
    ["DELETE", '{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u\u00e9"}}'],
    ["GET", ""],
  ]);
});

test("a long list comes page by page; when the next page has expired it is read anew from its beginning", async () => {
  const asked: string[] = [];
  const { client } = await serve(({ url, json }) => {
    asked.push(url.search);
    const next = url.searchParams.get("continue");
    const again = asked.length > 3;
    const page = listOf(again ? 20 : 10, configMap(`${again ? "new" : "old"}-${next ?? "1"}`, 1));
    if (next === null) json(200, { ...page, metadata: { ...page.metadata, continue: "2" } });
    else if (again) json(200, page);
    else if (next === "2") json(200, { ...page, metadata: { ...page.metadata, continue: "3" } });
    else json(410, status(410, "Expired", "The provided continue parameter is too old"));
  });
  const { items, resourceVersion } = await client.list(configMaps, { labelSelector: "a=b" });
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["new-1", "new-2"]);
  expect(resourceVersion).toBe("20");
  expect(asked).toEqual([
    "?labelSelector=a%3Db&limit=500",
    "?labelSelector=a%3Db&limit=500&continue=2",
    "?labelSelector=a%3Db&limit=500&continue=3",
    "?labelSelector=a%3Db&limit=500",
    "?labelSelector=a%3Db&limit=500&continue=2",
  ]);
});

test("a list that expires each time is given up", async () => {
  let asked = 0;
  const { client } = await serve(({ json }) => {
    asked += 1;
    json(410, status(410, "Expired", "too old"));
  });
  expect(isGone(await failureOf(client.list(configMaps)))).toBe(true);
  expect(asked).toBe(4);
});

test("a page has no more objects than a few MiB can hold, and is not fetched beyond that; one object always is", async () => {
  const MiB = 1024 * 1024;
  const stored = [0.1, 0.1, 1.5, 1.5, 1.5, 6, 0.1, 0.1].map((size, at) =>
    configMap(`c${at}`, 1, { text: "x".repeat(size * MiB) }),
  );
  const read: number[] = [];
  const { client } = await serve(async ({ url, response }) => {
    const from = Number(url.searchParams.get("continue") ?? 0);
    const limit = Number(url.searchParams.get("limit"));
    const to = Math.min(from + limit, stored.length);
    const list = listOf(10, ...stored.slice(from, to));
    const next = to < stored.length ? { continue: String(to) } : {};
    response.write(JSON.stringify({ ...list, metadata: { ...list.metadata, ...next } }));
    if (limit > 1 && to - from > 1 && stored.slice(from, to).some(({ data }) => (data.text ?? "").length > 3 * MiB)) {
      // Never ends, so whoever would read it all never comes back.
      const closed = once(response, "close");
      while (!response.destroyed) {
        if (!response.write(" ".repeat(64 * 1024))) await Promise.race([once(response, "drain"), closed]);
      }
      return;
    }
    read.push(to - from);
    response.end();
  });
  const { items } = await client.list({ ...configMaps, pageSize: 8 });
  expect(items.map(({ metadata }) => metadata.name)).toEqual(stored.map(({ metadata }) => metadata.name));
  expect(read).toContain(1);
  expect(read.length).toBeLessThan(stored.length);
});

test("items of a list get the kind that the list leaves out, and keep fields that no schema names", async () => {
  const { apiVersion, kind, ...bare } = configMap("a", 1);
  const { client } = await serve(({ json }) => json(200, listOf(1, { ...bare, immutable: true })));
  const { items } = await client.list(configMaps);
  expect(items).toEqual([{ apiVersion, kind, ...bare, immutable: true }]);
});

test("a name cannot escape from its place in the path", async () => {
  let path: string | undefined;
  const { client } = await serve(({ request, json }) => {
    path = request.url;
    json(200, configMap("a", 1));
  });
  await client.get(pods, { namespace: "../kube-system", name: "x/../../secrets?a=b#c" }).catch(() => undefined);
  expect(path).toBe("/api/v1/namespaces/..%2Fkube-system/pods/x%2F..%2F..%2Fsecrets%3Fa%3Db%23c");
});
