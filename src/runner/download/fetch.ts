import { type IncomingMessage, Agent as PlainAgent, request as plainRequest, type RequestOptions } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { getCACertificates } from "node:tls";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Fetcher, FetchOptions, RemoteFile } from "../fetcher.ts";

/** A file could not be read. The message says why, and may be shown to tenants. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  /** The server answered that it has no file under this very name. */
  readonly absent: boolean;
  /** The server's certificate could not be verified. */
  readonly untrusted: boolean;
  /** The file was read, but is no intact gzip file. */
  readonly garbled: boolean;
  /** The same request may succeed a little later: the server was overloaded, or the connection broke. */
  readonly transient: boolean;

  constructor(message: string, kind: FetchErrorKind = {}) {
    super(message);
    const { absent = false, untrusted = false, garbled = false, transient = false } = kind;
    this.absent = absent;
    this.untrusted = untrusted;
    this.garbled = garbled;
    this.transient = transient;
  }
}

type FetchErrorKind = Partial<Pick<FetchError, "absent" | "untrusted" | "garbled" | "transient">>;
const unpack = promisify(gunzip);

/**
 * Reads a gzip file whole and unpacks it.
 *
 * @throws FetchError for whatever goes wrong, the signal's reason once it aborts
 */
export async function fetchGzip(url: string, options: FetchOptions): Promise<string> {
  const { maxBytes, maxUnpackedBytes } = options.limits;
  const packed = await get(url, {}, options, async (answer) => {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer) {
      size += chunk.length;
      if (size > maxBytes) throw new FetchError(`the file is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  });
  try {
    return (await unpack(packed, { maxOutputLength: maxUnpackedBytes })).toString("utf8");
  } catch (error) {
    if (codeOf(error) === "ERR_BUFFER_TOO_LARGE")
      throw new FetchError(`the file unpacks to more than ${maxUnpackedBytes} bytes`);
    throw new FetchError(isGzip(packed) ? "the file is not a complete gzip file" : NO_GZIP, { garbled: true });
  }
}

/** The message for a file that does not begin as gzip, as all of Velero's files do. */
export const NO_GZIP = "the file is not gzip";

/** What every gzip file begins with. RFC 1952, section 2.3.1. */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

export function isGzip(head: Buffer): boolean {
  return head.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC);
}

/**
 * Asks how large a file is and how it begins, by reading its first two bytes: a signed URL allows a GET, not a HEAD. If
 * the server ignores the range, the runner closes the connection after two bytes.
 *
 * @throws as {@link fetchGzip}
 */
export async function fetchSize(url: string, options: FetchOptions): Promise<RemoteFile> {
  return await get(url, { range: "bytes=0-1" }, options, async (answer) => {
    const { statusCode, headers } = answer;
    const whole =
      statusCode === 206
        ? /^bytes 0-[01]\/(\d+)$/.exec(text(headers["content-range"]))?.[1]
        : text(headers["content-length"]);
    if (whole === undefined || !/^\d+$/.test(whole))
      throw new FetchError("the object store does not report the file's size");
    const ageMs = Date.parse(text(headers.date)) - Date.parse(text(headers["last-modified"]));
    return {
      size: Number(whole),
      ageMs: Number.isNaN(ageMs) ? undefined : ageMs,
      isGzip: isGzip(await beginning(answer, GZIP_MAGIC.length)),
    };
  });
}

/** @param env the environment that names the proxies, see {@link FetchOptions} */
export function httpFetcher(env: NodeJS.ProcessEnv): Fetcher {
  return {
    gzip: (url, options) => fetchGzip(url, { ...options, env }),
    size: (url, options) => fetchSize(url, { ...options, env }),
  };
}

async function get<T>(
  url: string,
  headers: Record<string, string>,
  { ca, signal, limits, env = {} }: FetchOptions,
  read: (answer: IncomingMessage) => Promise<T>,
): Promise<T> {
  const parsed = URL.parse(url);
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol)) {
    throw new FetchError("Velero's download URL is neither http nor https");
  }
  signal.throwIfAborted();
  const tooLate = AbortSignal.timeout(limits.timeoutMs);
  const agent = agentOf(parsed, ca, env);
  try {
    const answer = await answerTo(parsed, { agent, headers, signal: AbortSignal.any([signal, tooLate]) });
    if (answer.statusCode !== 200 && answer.statusCode !== 206) throw await refused(answer);
    return await read(answer);
  } catch (error) {
    signal.throwIfAborted();
    if (tooLate.aborted) throw new FetchError(`${parsed.host} did not deliver within ${limits.timeoutMs / 1000} s`);
    throw error instanceof FetchError ? error : unreachable(parsed.host, error);
  } finally {
    // Closes the connection even if the answer was not read to its end.
    agent.destroy();
  }
}

function agentOf({ protocol }: URL, ca: string | undefined, env: NodeJS.ProcessEnv): PlainAgent {
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  for (const proxy of [httpProxy, httpsProxy]) {
    // The message does not repeat the proxy's URL, which may contain a password.
    if (proxy && !["http:", "https:"].includes(URL.parse(proxy)?.protocol ?? ""))
      throw new FetchError("HTTP_PROXY or HTTPS_PROXY in the runner's environment is not the URL of a proxy");
  }
  const proxyEnv = { HTTP_PROXY: httpProxy, HTTPS_PROXY: httpsProxy, NO_PROXY: env.no_proxy ?? env.NO_PROXY };
  if (protocol === "http:") return new PlainAgent({ proxyEnv });
  return new SecureAgent({ proxyEnv, ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] }) });
}

/** Resolves when the answer begins; follows no redirect. */
async function answerTo(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = (url.protocol === "http:" ? plainRequest : secureRequest)(url, options, resolve);
  request.on("error", reject).end();
  return await promise;
}

/** The error codes for a missing file: of S3, Google and most others; of Azure. */
const NO_SUCH_FILE: ReadonlySet<string> = new Set(["NoSuchKey", "BlobNotFound"]);
/** An overloaded store, or a proxy that restarts: S3 asks its clients to retry after these. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);
/** How much of an error's answer is read, in bytes: the code comes at the beginning. */
const MAX_ANSWER_BYTES = 4096;

/**
 * Turns a refusal into an error. A 404 alone does not prove that the file is missing: a bucket that is gone, a proxy
 * without a backend and a policy answer 404, too.
 */
async function refused(answer: IncomingMessage): Promise<FetchError> {
  const { statusCode = 0, headers } = answer;
  const body = (await beginning(answer, MAX_ANSWER_BYTES)).toString("utf8");
  const reported = text(headers["x-ms-error-code"]) || /<Code>\s*(\w+)\s*<\/Code>/.exec(body)?.[1] || "";
  const code = /^[A-Za-z]{1,64}$/.test(reported) ? reported : undefined;
  if (statusCode === 416) return new FetchError("the file is empty", { garbled: true });
  if (statusCode !== 404) {
    const answered = `the object store answered ${statusCode}${code === undefined ? "" : ` ${code}`}`;
    return new FetchError(answered, { transient: RETRYABLE.has(statusCode) });
  }
  if (code !== undefined && NO_SUCH_FILE.has(code))
    return new FetchError("the object store has no such file (404)", { absent: true });
  return new FetchError(
    `the object store answered 404 (${code ?? "no code"}), which does not prove that the file is missing`,
  );
}

/** The first bytes of an answer, or all of it if there are fewer. */
async function beginning(body: IncomingMessage, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= bytes) break;
  }
  return Buffer.concat(chunks).subarray(0, bytes);
}

const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

function unreachable(host: string, error: unknown): FetchError {
  const code = codeOf(error) ?? "unknown";
  if (UNTRUSTED.test(code))
    return new FetchError(`the certificate of ${host} cannot be verified (${code})`, { untrusted: true });
  // Only the status code is passed on: Node's message contains the proxy's URL, which may contain a password.
  if (error instanceof Error && code === "ERR_PROXY_TUNNEL" && "statusCode" in error)
    return new FetchError(`the proxy does not let the runner reach ${host} (${error.statusCode})`);
  return new FetchError(`${host} cannot be reached, or it broke the connection (${code})`, { transient: true });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function text(header: string | string[] | undefined): string {
  return typeof header === "string" ? header : "";
}
