import { type Logger, levels, pino } from "pino";
import { ApiError, MalformedObjectError, UnreachableError } from "./kube/errors.ts";

/** Fields that could contain a credential or a signed URL; the log shows `[redacted]` instead of them. */
const SECRETS = ["token", "authorization", "claim", "password", "secret", "downloadURL", "key"];

/**
 * A logger that writes one JSON line per entry to stdout, times in RFC 3339.
 *
 * @param component the program that logs, on every line: `dispatcher`, `runner`
 * @param level pino's `trace` to `fatal`, or `silent`; anything else, and nothing, means `info`
 */
export function createLogger(component: string, level: string | undefined): Logger {
  const known = level !== undefined && (level === "silent" || Object.hasOwn(levels.values, level));
  return pino({
    level: known ? level : "info",
    base: { component },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: "[redacted]" },
  });
}

/** For errors of the API server the message is enough; a stack helps only with faults of this program. */
function describeError(error: unknown): unknown {
  const answered = [ApiError, UnreachableError, MalformedObjectError].some((kind) => error instanceof kind);
  if (answered && error instanceof Error) return { type: error.name, message: error.message };
  return error instanceof Error ? pino.stdSerializers.err(error) : error;
}
