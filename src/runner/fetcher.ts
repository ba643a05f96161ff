/** How files are read from the object store. */
export interface Fetcher {
  /** @see fetchGzip */
  readonly gzip: (url: string, options: FetchOptions) => Promise<string>;
  /** @see fetchSize */
  readonly size: (url: string, options: FetchOptions) => Promise<RemoteFile>;
}

export interface FetchOptions {
  /** Certificate authorities in PEM that are trusted beside the usual ones. */
  readonly ca?: string | undefined;
  /** Aborts the call, which then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly limits: FetchLimits;
  /** The environment with HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper or lower case. Default: no proxy. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What the runner learns about a file without reading it whole. */
export interface RemoteFile {
  /** Bytes. */
  readonly size: number;
  /**
   * How long ago it was last written, in milliseconds, by the server's own clock; undefined if the server does not say.
   */
  readonly ageMs: number | undefined;
  /** Its first bytes are those of every gzip file. */
  readonly isGzip: boolean;
}

export interface FetchLimits {
  /** For one whole request, in milliseconds. */
  readonly timeoutMs: number;
  /** The most that is read, in bytes. */
  readonly maxBytes: number;
  /** The most that it may unpack to, in bytes. */
  readonly maxUnpackedBytes: number;
}
