/** How files are read from the object store. */
export interface Fetcher {
  /** @see fetchGzip */
  readonly gzip: (url: string, options: FetchOptions) => Promise<string>;
  /** @see fetchSize */
  readonly size: (url: string, options: FetchOptions) => Promise<RemoteFile>;
}

export interface FetchOptions {
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined;
  /** Gives up; the call then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly limits: FetchLimits;
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY stand, in upper or lower case. Default: no proxy. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What a ranged request tells of a file without reading it. */
export interface RemoteFile {
  /** Bytes. */
  readonly size: number;
  /** How long ago it was last written, in milliseconds, by the server's own clock; undefined where it does not tell. */
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
