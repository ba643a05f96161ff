import { networkInterfaces } from "node:os";
import { Registry } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { type Server, serve } from "../../../src/dispatcher/server.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** Which of these hosts reach the server. */
async function reached(listen: string, hosts: readonly string[]): Promise<string[]> {
  server = await serve({ listen, metrics: new Registry(), problems: () => [] });
  const { port } = new URL(server.url);
  const answers = hosts.map(async (host) => {
    const response = await fetch(`http://${host}:${port}/healthz`).catch(() => undefined);
    return response?.ok ? [host] : [];
  });
  return (await Promise.all(answers)).flat();
}

/** The loopback addresses that this machine has. */
const loopback = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ address }) => address === "127.0.0.1" || address === "::1")
  .map(({ address, family }) => (family === "IPv6" ? `[${address}]` : address));

test("unless told otherwise it is reached by every family of addresses, as probes need it", async () => {
  const byDefault = settingsSchema.parse({}).listen.replace(/\d+$/, "0");
  expect(await reached(byDefault, loopback)).toEqual(loopback);
});

test("it is reached only where it is told to listen", async () => {
  expect(await reached("127.0.0.1:0", loopback)).toEqual(["127.0.0.1"]);
});
