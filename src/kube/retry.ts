import pRetry from "p-retry";
import type { Logger } from "pino";
import { type Backoff, backoffDelay } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { ApiError, isTransient } from "./errors.ts";

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly clock: Clock;
  /** For how long to start new tries, in milliseconds. Default 60 000. */
  readonly maxRetryTimeMs?: number;
  /** Which failures to retry. Default: {@link isTransient}, those of an API server in trouble. */
  readonly isRetryable?: (error: unknown) => boolean;
}

const BACKOFF: Backoff = { minMs: 250, maxMs: 10_000 };

/**
 * Runs an idempotent call until it succeeds, or fails for a reason that another try cannot mend. Waits longer each time
 * (0.25 s to 10 s, random), and at least as long as the server asks for.
 *
 * @throws the call's last error, or the signal's reason
 */
export async function retry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, logger, clock, maxRetryTimeMs = 60_000, isRetryable = isTransient } = options;
  const startedAt = clock.monotonic();
  return await pRetry(call, {
    // How long to wait, and until when, is decided below, by the clock that was handed in.
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 0,
    signal,
    onFailedAttempt: async ({ error, attemptNumber }) => {
      if (!isRetryable(error)) throw error;
      const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
      const waitMs = Math.max(asked, backoffDelay(attemptNumber, BACKOFF, Math.random()));
      logger.warn({ err: error, tries: attemptNumber, waitMs }, "call failed, will try again");
      if (clock.monotonic() + waitMs - startedAt > maxRetryTimeMs) throw error;
      await clock.sleep(waitMs, signal);
    },
  });
}
