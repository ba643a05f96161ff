import { getCACertificates } from "node:tls";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Agent, type Dispatcher, request } from "undici";

/** Reading from the object store by signed URLs. The URLs are secrets: no message here has one. */

export interface FetchOptions {
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined;
  /** Gives up; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly limits: FetchLimits;
}

export interface FetchLimits {
  /** For one whole request, in milliseconds. */
  readonly timeoutMs: number;
  /** The most that is read, in bytes. */
  readonly maxBytes: number;
  /** The most that it may unpack to, in bytes. */
  readonly maxUnpackedBytes: number;
}

/** What a ranged request tells of a file without reading it. */
export interface RemoteFile {
  /** Bytes. */
  readonly size: number;
  /** How long ago it was last written, in milliseconds, by the server's own clock; undefined where it does not tell. */
  readonly ageMs: number | undefined;
}

/** A file could not be read; the message says why in words that may be shown to anybody. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  /** The server answered that there is no such file. */
  readonly absent: boolean;
  /** The server's certificate could not be verified. */
  readonly untrusted: boolean;

  constructor(message: string, { absent = false, untrusted = false }: { absent?: boolean; untrusted?: boolean } = {}) {
    super(message);
    this.absent = absent;
    this.untrusted = untrusted;
  }
}

/** How files are read from the object store. */
export interface Fetcher {
  /** @see fetchGzip */
  readonly gzip: (url: string, options: FetchOptions) => Promise<string>;
  /** @see fetchSize */
  readonly size: (url: string, options: FetchOptions) => Promise<RemoteFile>;
}

const unpack = promisify(gunzip);

/**
 * Reads a gzip file whole and unpacks it.
 *
 * @throws FetchError for whatever goes wrong, the signal's reason once it aborts
 */
export async function fetchGzip(url: string, options: FetchOptions): Promise<string> {
  const { maxBytes, maxUnpackedBytes } = options.limits;
  const packed = await get(url, {}, options, async ({ body }) => {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > maxBytes) throw new FetchError(`the file is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  });
  try {
    return (await unpack(packed, { maxOutputLength: maxUnpackedBytes })).toString("utf8");
  } catch (error) {
    const tooLarge = codeOf(error) === "ERR_BUFFER_TOO_LARGE";
    throw new FetchError(tooLarge ? `the file unpacks to more than ${maxUnpackedBytes} bytes` : "the file is not gzip");
  }
}

/**
 * Asks how large a file is, by reading its first byte: a signed URL allows a GET, not a HEAD. A server that ignores ranges
 * is cut off after its headers.
 *
 * @throws as {@link fetchGzip}
 */
export async function fetchSize(url: string, options: FetchOptions): Promise<RemoteFile> {
  return await get(url, { range: "bytes=0-0" }, options, async ({ statusCode, headers }) => {
    const whole =
      statusCode === 206
        ? /^bytes 0-0\/(\d+)$/.exec(text(headers["content-range"]))?.[1]
        : text(headers["content-length"]);
    if (whole === undefined || !/^\d+$/.test(whole))
      throw new FetchError("the object store does not tell the file's size");
    const ageMs = Date.parse(text(headers.date)) - Date.parse(text(headers["last-modified"]));
    return { size: Number(whole), ageMs: Number.isNaN(ageMs) ? undefined : ageMs };
  });
}

export const httpFetcher: Fetcher = { gzip: fetchGzip, size: fetchSize };

async function get<T>(
  url: string,
  headers: Record<string, string>,
  { ca, signal, limits }: FetchOptions,
  read: (response: Dispatcher.ResponseData) => Promise<T>,
): Promise<T> {
  const parsed = URL.parse(url);
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol)) {
    throw new FetchError("Velero's download URL is not one of http or https");
  }
  signal.throwIfAborted();
  const tooLate = AbortSignal.timeout(limits.timeoutMs);
  const agent = new Agent(ca === undefined ? {} : { connect: { ca: [...getCACertificates("default"), ca] } });
  try {
    const response = await request(parsed, { dispatcher: agent, headers, signal: AbortSignal.any([signal, tooLate]) });
    if (response.statusCode !== 200 && response.statusCode !== 206) throw refused(response.statusCode);
    return await read(response);
  } catch (error) {
    signal.throwIfAborted();
    if (tooLate.aborted) throw new FetchError(`${parsed.host} did not deliver within ${limits.timeoutMs / 1000} s`);
    throw error instanceof FetchError ? error : unreachable(parsed.host, error);
  } finally {
    // Whatever was not read is not wanted: the connection goes with it.
    await agent.destroy();
  }
}

function refused(statusCode: number): FetchError {
  if (statusCode === 404) return new FetchError("the object store has no such file (404)", { absent: true });
  return new FetchError(`the object store answered ${statusCode}`);
}

const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

function unreachable(host: string, error: unknown): FetchError {
  const code = codeOf(error) ?? "unknown";
  return UNTRUSTED.test(code)
    ? new FetchError(`the certificate of ${host} cannot be verified (${code})`, { untrusted: true })
    : new FetchError(`${host} cannot be reached or broke off (${code})`);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function text(header: string | string[] | undefined): string {
  return typeof header === "string" ? header : "";
}
