import pRetry from "p-retry";
import type { Logger } from "pino";
import type { Clock } from "./clock.ts";
import { ApiError, isTransient } from "./errors.ts";

export interface RetryOptions {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly clock: Clock;
  /** For how long to go on starting new tries, in milliseconds. Default 60 000. */
  readonly maxRetryTimeMs?: number;
}

/**
 * Runs an idempotent call until it succeeds or fails for a reason that trying again cannot mend ({@link isTransient}).
 * Waits longer each time (0.25 s to 10 s, random), and at least as long as the server asks for.
 *
 * @throws the call's last error, or the signal's reason
 */
export async function retry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, logger, clock, maxRetryTimeMs = 60_000 } = options;
  return await pRetry(call, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 250,
    maxTimeout: 10_000,
    maxRetryTime: maxRetryTimeMs,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isTransient(error),
    onFailedAttempt: async ({ error, attemptNumber, retryDelay }) => {
      if (!isTransient(error)) return;
      logger.warn({ err: error, attempt: attemptNumber, retryDelay }, "API call failed, will try again");
      if (error instanceof ApiError && error.retryAfterMs !== undefined) await clock.sleep(error.retryAfterMs, signal);
    },
  });
}
