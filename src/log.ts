import { type Logger, levels, pino } from "pino";
import { ApiError, MalformedObjectError, UnreachableError } from "./kube/errors.ts";

/** Fields that could carry a credential or a signed URL; whatever is logged under these names is blanked. */
const SECRETS = ["token", "authorization", "claim", "password", "secret", "downloadURL", "key"];

/**
 * A logger that writes one JSON line per entry to stdout, times in RFC 3339.
 *
 * @param component what logs: `dispatcher`, `runner`; on every line
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

/** What the API server answered says all; a stack is for faults of our own. */
function describeError(error: unknown): unknown {
  const answered = [ApiError, UnreachableError, MalformedObjectError].some((kind) => error instanceof kind);
  if (answered && error instanceof Error) return { type: error.name, message: error.message };
  return error instanceof Error ? pino.stdSerializers.err(error) : error;
}
