import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { FetchError, fetchGzip, fetchSize } from "../../../../src/runner/download/fetch.ts";
import type { FetchLimits, FetchOptions } from "../../../../src/runner/fetcher.ts";
import { answersWith, archive, type Files, httpStore, httpsStore, tunnel } from "../objectStore.ts";

const SECRET = "X-Amz-Signature=s3cr3t";

interface Given extends Partial<Omit<FetchOptions, "limits">> {
  readonly limits?: Partial<FetchLimits>;
}

function options(more: Given = {}): FetchOptions {
  const limits = { timeoutMs: 60_000, maxBytes: 1000, maxUnpackedBytes: 1000, ...more.limits };
  return { signal: new AbortController().signal, ...more, limits };
}

/** Everything that a failure says, to whomever. */
async function failure(promise: Promise<unknown>): Promise<FetchError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof FetchError)) throw new Error(`expected a FetchError, got ${String(error)}`);
  expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain("s3cr3t");
  return error;
}

async function failureOf(files: Files, more?: Given): Promise<FetchError> {
  const { url } = await httpStore(files);
  return await failure(fetchGzip(`${url}/file?${SECRET}`, options(more)));
}

describe("reading a gzip file", () => {
  it("unpacks it", async () => {
    const { url } = await httpStore({ "/file": { some: "JSON" } });
    expect(await fetchGzip(`${url}/file?${SECRET}`, options())).toBe('{"some":"JSON"}');
  });

  it("trusts the given authority over HTTPS", async () => {
    const { url, ca } = await httpsStore({ "/file": { some: "JSON" } });
    expect(await fetchGzip(`${url}/file`, options({ ca }))).toBe('{"some":"JSON"}');
  });

  it.each(["no authority", "another authority"])("trusts nobody else: %s", async (given) => {
    const { url } = await httpsStore({ "/file": {} });
    const ca = given === "another authority" ? (await httpsStore({})).ca : undefined;
    const error = await failure(fetchGzip(`${url}/file?${SECRET}`, options({ ca })));
    expect(error.message).toMatch(/^the certificate of 127\.0\.0\.1:\d+ cannot be verified \([A-Z_]+\)$/);
    expect(error.untrusted).toBe(true);
  });

  it.each<[string, RequestListener]>([
    ["S3 and Google", answersWith(404, "<?xml version='1.0'?><Error>\n<Code>NoSuchKey</Code></Error>")],
    ["Azure", (_, response) => response.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end()],
  ])("says when there is no such file, as %s do", async (_, handler) => {
    const error = await failureOf({ "/file": handler });
    expect(error).toMatchObject({ message: "the object store has no such file (404)", absent: true });
  });

  it.each<[string, RequestListener, string]>([
    ["a bucket that is gone", answersWith(404, "<Error><Code>NoSuchBucket</Code></Error>"), "NoSuchBucket"],
    [
      "a container that is gone",
      (_, response) => response.writeHead(404, { "x-ms-error-code": "ContainerNotFound" }).end(),
      "ContainerNotFound",
    ],
    ["a page that nobody asked for", answersWith(404, "<html>404 NoSuchKey</html>"), "no code"],
    ["nothing", answersWith(404), "no code"],
    ["a code that is none", answersWith(404, `<Code>${"x".repeat(65)}</Code>`), "no code"],
    ["a code far behind", answersWith(404, `${" ".repeat(4096)}<Code>NoSuchKey</Code>`), "no code"],
  ])("does not take a 404 for a missing file that comes with %s", async (_, handler, code) => {
    expect(await failureOf({ "/file": handler })).toMatchObject({
      message: `the object store answered 404 (${code}), which does not prove that the file is missing`,
      absent: false,
      transient: false,
    });
  });

  it.each([429, 500, 502, 503, 504])("says that %d may pass", async (status) => {
    const error = await failureOf({ "/file": answersWith(status, "<Error><Code>SlowDown</Code></Error>") });
    expect(error).toMatchObject({ message: `the object store answered ${status} SlowDown`, transient: true });
  });

  it("says what the object store answers else, and not what it tells of the signature", async () => {
    const error = await failureOf({ "/file": answersWith(403, `<StringToSign>${SECRET}</StringToSign>`) });
    expect(error).toMatchObject({ message: "the object store answered 403", absent: false, transient: false });
  });

  it("follows no redirect", async () => {
    const error = await failureOf({ "/file": (_, response) => response.writeHead(302, { location: "/other" }).end() });
    expect(error.message).toBe("the object store answered 302");
  });

  it("stops at its limit, however long the file is", async () => {
    const error = await failureOf({ "/file": (_, response) => void pump(response) }, { limits: { maxBytes: 5000 } });
    expect(error.message).toBe("the file is larger than 5000 bytes");
  });

  it("stops unpacking at its limit", async () => {
    const bomb = gzipSync(Buffer.alloc(1_000_000));
    const error = await failureOf({ "/file": (_, response) => response.end(bomb) }, { limits: { maxBytes: 10_000 } });
    expect(error.message).toBe("the file unpacks to more than 1000 bytes");
  });

  it("says when it is not gzip", async () => {
    const error = await failureOf({ "/file": answersWith(200, "400;chunk-signature=0\r\n") });
    expect(error).toMatchObject({ message: "the file is not gzip", garbled: true });
  });

  it("says when it is not all of it", async () => {
    const whole = gzipSync(JSON.stringify({ some: "JSON" }));
    const error = await failureOf({ "/file": (_, response) => response.end(whole.subarray(0, whole.length - 9)) });
    expect(error).toMatchObject({ message: "the file is not a complete gzip file", garbled: true });
  });

  it.each<[string, RequestListener]>([
    ["answers nothing", () => undefined],
    ["stops in the middle", (_, response) => response.write("half")],
  ])("gives a server up that %s", async (_, handler) => {
    const error = await failureOf({ "/file": handler }, { limits: { timeoutMs: 100 } });
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ did not deliver within 0\.1 s$/);
  });

  it("says when the connection breaks", async () => {
    const error = await failureOf({ "/file": (request) => request.socket.destroy() });
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached, or it broke the connection \(ECONNRESET\)$/);
    expect(error.transient).toBe(true);
  });

  it.each(["file:///etc/passwd", "nonsense", "ftp://host/file"])("reads nothing from %s", async (url) => {
    const error = await failure(fetchGzip(url, options()));
    expect(error.message).toBe("Velero's download URL is neither http nor https");
  });

  it("ends with the signal's own reason", async () => {
    const { url } = await httpStore({ "/file": () => stop.abort(new Error("SIGTERM")) });
    const stop = new AbortController();
    await expect(fetchGzip(`${url}/file`, options({ signal: stop.signal }))).rejects.toThrow("SIGTERM");
  });
});

describe("a proxy of the environment", () => {
  const HOST = "store.invalid";

  it.each(["HTTP_PROXY", "http_proxy"])("is asked for a plain file: %s", async (variable) => {
    const asked: string[] = [];
    const proxy = await httpStore((request, response) => {
      asked.push(request.url ?? "");
      response.end(gzipSync("through"));
    });
    const env = { [variable]: proxy.url };
    expect(await fetchGzip(`http://${HOST}/file`, options({ env }))).toBe("through");
    expect(asked).toEqual([`http://${HOST}/file`]);
  });

  it("lets an encrypted file through, whose certificate is verified all the same", async () => {
    const store = await httpsStore({ "/file": { some: "JSON" } });
    const proxy = await tunnel();
    const env = { HTTPS_PROXY: proxy.url };
    expect(await fetchGzip(`${store.url}/file`, options({ env, ca: store.ca }))).toBe('{"some":"JSON"}');
    expect(proxy.asked).toEqual([new URL(store.url).host]);
    expect((await failure(fetchGzip(`${store.url}/file`, options({ env })))).untrusted).toBe(true);
  });

  it("is left out where NO_PROXY says so", async () => {
    const { url } = await httpStore({ "/file": { some: "JSON" } });
    const env = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "10.0.0.0,127.0.0.1" };
    expect(await fetchGzip(`${url}/file`, options({ env }))).toBe('{"some":"JSON"}');
  });

  it("refuses: that is said", async () => {
    const proxy = await tunnel(403);
    const error = await failure(fetchGzip(`https://${HOST}/file`, options({ env: { HTTPS_PROXY: proxy.url } })));
    expect(error).toMatchObject({
      message: `the proxy does not let the runner reach ${HOST} (403)`,
      transient: false,
    });
  });

  it("has no URL: that is said, without its password", async () => {
    const env = { HTTPS_PROXY: "user:s3cr3t@proxy" };
    const error = await failure(fetchGzip(`https://${HOST}/file`, options({ env })));
    expect(error.message).toBe("HTTP_PROXY or HTTPS_PROXY in the runner's environment is not the URL of a proxy");
  });
});

describe("asking for a file's size", () => {
  it("reads its beginning and takes size and age from the headers", async () => {
    const { url } = await httpStore({ "/file": archive(19_756_849_562, 60_000) });
    expect(await fetchSize(`${url}/file`, options())).toEqual({ size: 19_756_849_562, ageMs: 60_000, isGzip: true });
  });

  it("does not read a file from a server that ignores ranges", async () => {
    const { url } = await httpStore({
      "/file": (_, response) => {
        response.writeHead(200, { "content-length": 1_000_000, date: "" }).write(gzipSync(""));
      },
    });
    expect(await fetchSize(`${url}/file`, options())).toEqual({ size: 1_000_000, ageMs: undefined, isGzip: true });
  });

  it.each([
    ["the framing of its transfer", "40"],
    ["half of what every gzip begins with", "\x1f0"],
  ])("says when the file begins with %s", async (_, head) => {
    const { url } = await httpStore({ "/file": archive(1000, 0, Buffer.from(head)) });
    expect(await fetchSize(`${url}/file`, options())).toMatchObject({ size: 1000, isGzip: false });
  });

  it("says when the file is empty", async () => {
    const { url } = await httpStore({ "/file": answersWith(416, "<Code>InvalidRange</Code>") });
    expect(await failure(fetchSize(`${url}/file`, options()))).toMatchObject({
      message: "the file is empty",
      garbled: true,
    });
  });

  it.each([
    ["no range in its answer", 206, {}],
    ["an unknown size", 206, { "content-range": "bytes 0-0/*" }],
    ["another range", 206, { "content-range": "bytes 5-9/10" }],
    ["no length", 200, { "transfer-encoding": "chunked" }],
  ])("does not believe a server with %s", async (_, status, headers) => {
    const { url } = await httpStore({ "/file": (_request, response) => response.writeHead(status, headers).end("x") });
    expect((await failure(fetchSize(`${url}/file`, options()))).message).toBe(
      "the object store does not report the file's size",
    );
  });
});

/** Writes for as long as somebody reads. */
async function pump(response: NodeJS.WritableStream): Promise<void> {
  while (response.writable) {
    if (!response.write("x".repeat(1000))) await new Promise((resolve) => response.once("drain", resolve));
    await new Promise(setImmediate);
  }
}
