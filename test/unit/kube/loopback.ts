import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import pino, { type Logger } from "pino";
import { onTestFinished } from "vitest";
import { KubeClient } from "../../../src/kube/client.ts";
import { KeptAliveConfig } from "../../../src/kube/config.ts";
import { Transport } from "../../../src/kube/transport.ts";

/** One request as the server saw it, and the means to answer it. */
export interface Exchange {
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Answers with JSON and ends. */
  json(status: number, body: unknown, headers?: Record<string, string>): void;
  /** Sends lines of a watch, each as it is; the stream stays open. */
  send(...lines: unknown[]): void;
}

export interface Loopback {
  readonly client: KubeClient;
  /** How many connections were ever opened. */
  connections(): number;
  close(): void;
}

/** A tiny HTTP server in the API server's place, for what a real one cannot be made to do, and a client for it. */
export async function serve(handler: (exchange: Exchange) => void | Promise<void>): Promise<Loopback> {
  let connections = 0;
  const server = createServer((request, response) => {
    void handler({
      url: new URL(request.url ?? "/", "http://localhost"),
      request,
      response,
      json: (status, body, headers = {}) => {
        response.writeHead(status, { "Content-Type": "application/json", ...headers });
        response.end(JSON.stringify(body));
      },
      send: (...lines) => {
        for (const line of lines) response.write(typeof line === "string" ? line : `${JSON.stringify(line)}\n`);
      },
    });
  });
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { client: clientFor(server.address()), connections: () => connections, close };
}

/** A client for a server on loopback. */
function clientFor(address: AddressInfo | string | null): KubeClient {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on TCP");
  const config = new KeptAliveConfig();
  config.loadFromClusterAndUser(
    { name: "test", server: `http://127.0.0.1:${address.port}`, skipTLSVerify: true },
    { name: "test", token: "t0ken" },
  );
  return new KubeClient(new Transport(config, "operation-runner/1.2.3 (test)"));
}

/** A logger that keeps its lines. */
export function recordingLogger(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  return { logger, lines };
}

/** A ConfigMap as the API server would answer it. */
export function configMap(name: string, resourceVersion: string | number, data: Record<string, string> = {}) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace: "org-a",
      uid: `uid-${name}`,
      resourceVersion: String(resourceVersion),
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    data,
  };
}

export function listOf(resourceVersion: string | number, ...items: unknown[]) {
  return { apiVersion: "v1", kind: "ConfigMapList", metadata: { resourceVersion: String(resourceVersion) }, items };
}

/** The API server's refusal. */
export function status(code: number, reason: string, message: string, details: Record<string, unknown> = {}) {
  return { apiVersion: "v1", kind: "Status", metadata: {}, status: "Failure", code, reason, message, details };
}
