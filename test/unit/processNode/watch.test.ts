import { createServer, type ServerResponse } from "node:http";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { watchPods } from "../../cluster/processNode/watch.ts";

const pod = (name: string, resourceVersion: string) => ({ metadata: { name, resourceVersion } });
const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

/** An API server that plays its answers one after the other; the last one stays open. */
async function playing(answers: ((response: ServerResponse) => void)[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://127.0.0.1");
    asked.push(url.searchParams.has("watch") ? `watch from ${url.searchParams.get("resourceVersion")}` : "list");
    response.setHeader("Content-Type", "application/json");
    const answer = answers.shift();
    if (answer === undefined) response.flushHeaders();
    else answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const config = new KubeConfig();
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  config.loadFromClusterAndUser({ name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, { name: "u" });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { asked, config, close };
}

test("a watch is resumed where it broke off, and begins anew with a list when that is too old", async () => {
  const list =
    (resourceVersion: string, ...names: string[]) =>
    (response: ServerResponse) =>
      void response.end(
        JSON.stringify({ metadata: { resourceVersion }, items: names.map((name) => pod(name, resourceVersion)) }),
      );
  const { asked, config, close } = await playing([
    list("10", "a", "b"),
    (response) => void response.end(event("ADDED", pod("c", "11")) + event("BOOKMARK", pod("", "15"))),
    (response) => {
      response.write(event("DELETED", pod("a", "16")), () => response.destroy());
    },
    (response) => void response.writeHead(500).end(),
    (response) => void response.end(event("ERROR", { code: 410, message: "too old" })),
    list("30", "c"),
  ]);
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = watchPods(
    config,
    config.makeApiClient(CoreV1Api),
    {
      listed: (pods) => seen.push(`all: ${pods.map(({ metadata }) => metadata?.name).join(",")}`),
      changed: ({ metadata }) => seen.push(`changed: ${metadata?.name}`),
      deleted: ({ metadata }) => seen.push(`deleted: ${metadata?.name}`),
    },
    pino({ level: "silent" }),
    stop.signal,
  );
  await vi.waitFor(() => expect(asked).toContain("watch from 30"), { timeout: 20_000 });
  expect(asked).toEqual([
    "list",
    "watch from 10",
    "watch from 15",
    "watch from 16",
    "watch from 16",
    "list",
    "watch from 30",
  ]);
  expect(seen).toEqual(["all: a,b", "changed: c", "deleted: a", "all: c"]);
  stop.abort();
  await watching;
  close();
});
