import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

export interface CuttingProxy {
  /** As the given one, but through the proxy. */
  readonly kubeconfig: string;
  /** Breaks all connections; new ones are welcome. */
  cut(): void;
}

/** A TCP proxy in front of the API server that breaks connections when told to. Ends with the test. */
export async function cuttingProxy(kubeconfig: string): Promise<CuttingProxy> {
  const text = await readFile(kubeconfig, "utf8");
  const server = /https:\/\/([\w.-]+):(\d+)/.exec(text);
  if (server === null) throw new Error(`${kubeconfig} names no server with a port`);
  const [url, host, port] = server;
  const sockets = new Set<Socket>();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const folder = await mkdtemp(path.join(os.tmpdir(), "cutting-proxy-"));
  onTestFinished(async () => {
    proxy.close();
    cut();
    await rm(folder, { recursive: true });
  });
  const through = path.join(folder, "kubeconfig");
  const address = proxy.address() as AddressInfo;
  await writeFile(through, text.replace(url, `https://127.0.0.1:${address.port}`));
  return { kubeconfig: through, cut };
}
