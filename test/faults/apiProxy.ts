import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** Where in an API call something goes wrong: before the API server hears of it, or after it has done what was asked. */
export type When = "before" | "after";

export interface ApiCall {
  readonly method: string;
  readonly path: string;
}

export interface FaultPlan {
  /** Which call is struck, counted from 1. */
  readonly call: number;
  readonly when: When;
  /** What happens: the call is never answered after this. */
  readonly strike: () => void;
}

export interface ApiProxy {
  readonly url: string;
  /** The calls that came in so far, in order. */
  readonly calls: readonly ApiCall[];
  close(): Promise<void>;
}

/**
 * A proxy in front of an API server, on loopback, that lets something go wrong at exactly one call. Everything else goes
 * through unchanged, watches included.
 *
 * @param server the API server's URL and its CA
 */
export async function startApiProxy(server: { url: string; ca: string }, plan?: FaultPlan): Promise<ApiProxy> {
  const calls: ApiCall[] = [];
  const agent = new https.Agent({ ca: server.ca, keepAlive: true });
  const target = new URL(server.url);

  const proxy = http.createServer(async (request, response) => {
    calls.push({ method: request.method ?? "", path: request.url ?? "" });
    const struck = plan !== undefined && calls.length === plan.call;
    if (struck && plan.when === "before") {
      plan.strike();
      return;
    }
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return;
    const forwarded = https.request(
      {
        agent,
        host: target.hostname,
        port: target.port,
        method: request.method,
        path: request.url,
        headers: { ...request.headers, host: target.host },
      },
      (answer) => {
        if (struck) {
          // A watch never ends by itself: its first byte is its answer.
          if (request.url?.includes("watch=true")) plan.strike();
          else answer.resume().once("end", plan.strike);
          return;
        }
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.once("error", () => response.destroy());
      },
    );
    forwarded.once("error", () => response.destroy());
    response.once("close", () => forwarded.destroy());
    forwarded.end(body);
  });

  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    async close() {
      proxy.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
