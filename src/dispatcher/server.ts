import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";

export interface ServerParts {
  /** `host:port`; port 0 takes any free one. */
  readonly listen: string;
  readonly metrics: Registry;
  /** Why the dispatcher is not ready; empty if it is. */
  readonly problems: () => readonly string[];
}

export interface Server {
  /** `http://host:port`, with the port that was taken. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, `/healthz` (this process answers) and `/readyz` (200, or 503 and why not).
 *
 * @throws Error if it cannot listen on that address
 */
export async function serve({ listen, metrics, problems }: ServerParts): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (code: number, body: string, type = "text/plain; charset=utf-8") => {
      response.writeHead(code, { "content-type": type }).end(request.method === "HEAD" ? undefined : body);
    };
    switch (request.url) {
      case "/healthz":
        return answer(200, "ok\n");
      case "/readyz": {
        const found = problems();
        return answer(found.length === 0 ? 200 : 503, `${found.length === 0 ? "ready" : found.join("\n")}\n`);
      }
      case "/metrics":
        metrics.metrics().then(
          (text) => answer(200, text, metrics.contentType),
          (error: unknown) => answer(500, `${String(error)}\n`),
        );
        return;
      default:
        return answer(404, "not found: /metrics, /healthz, /readyz\n");
    }
  });
  const { hostname, port } = new URL(`http://${listen}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  // Without a host Node listens on every address of IPv4 and IPv6, or of IPv4 alone if the kernel has no IPv6.
  server.listen({ host: host === "::" ? undefined : host, port: port === "" ? 80 : Number(port) });
  await once(server, "listening");
  return {
    url: urlOf(server.address()),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on a TCP port");
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}
