import * as z from "zod";

const causeSchema = z.looseObject({
  reason: z.string().optional(),
  message: z.string().optional(),
  field: z.string().optional(),
});

/** The API server's own words when something is refused (meta/v1 Status). */
const statusSchema = z.looseObject({
  kind: z.literal("Status"),
  code: z.number().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: z
    .looseObject({ causes: z.array(causeSchema).optional(), retryAfterSeconds: z.number().optional() })
    .optional(),
});

const MAX_RETRY_AFTER_MS = 60_000;

export type StatusCause = z.infer<typeof causeSchema>;

/** The API server answered, and refused. The message says what was asked and, in the server's words, why not. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status code. */
  readonly code: number;
  /** The server's reason in CamelCase (`AlreadyExists`); empty when it gave none. */
  readonly reason: string;
  /** What the server named as wrong, field by field. */
  readonly causes: readonly StatusCause[];
  /**
   * How long the server asks to wait before the next try, in milliseconds: {@link MAX_RETRY_AFTER_MS} at most, because a
   * proxy's mistake must not put anything off for a day (or, beyond what a timer can wait, make it try without a pause).
   */
  readonly retryAfterMs: number | undefined;

  /**
   * @param call what was asked: verb, resource, namespace/name
   * @param httpCode the HTTP status; within a stream there is none, then the Status' own code counts
   * @param answer the body: a Status, JSON or text
   * @param retryAfter the header Retry-After, in seconds
   */
  constructor(call: string, httpCode: number | undefined, answer: unknown, retryAfter?: string) {
    const status = statusSchema.safeParse(answer).data;
    const code = httpCode ?? status?.code ?? 500;
    const words =
      status?.message ?? (typeof answer === "string" && answer.trim() !== "" ? answer.trim() : "no message");
    const reason = status?.reason ?? "";
    super(`${call}: ${code}${reason === "" ? "" : ` ${reason}`}: ${words.slice(0, 2048)}`);
    this.code = code;
    this.reason = reason;
    this.causes = status?.details?.causes ?? [];
    const seconds = status?.details?.retryAfterSeconds ?? Number(retryAfter);
    this.retryAfterMs =
      Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : undefined;
  }
}

/** No answer: the connection failed, broke, or took too long. Whether the request took effect is unknown. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(call: string, cause: unknown) {
    super(`${call}: no answer from the API server: ${rootCause(cause)}`);
  }
}

/** The answer is longer than the caller can take; most of it was not even fetched. */
export class AnswerTooLargeError extends Error {
  override readonly name = "AnswerTooLargeError";

  constructor(call: string, maxBytes: number) {
    super(`${call}: the answer has more than ${maxBytes} bytes`);
  }
}

/** The server sent an object that is not what its kind promises. */
export class MalformedObjectError extends Error {
  override readonly name = "MalformedObjectError";
  /** `namespace/name`, or the name alone. */
  readonly key: string;

  constructor(resource: string, key: string, cause: z.ZodError) {
    super(`${resource} ${key} is not what its kind promises: ${z.prettifyError(cause).replaceAll("\n", " ")}`);
    this.key = key;
  }
}

/** The server knows the kind, and there is no object of that name. */
export const isNotFound = (error: unknown): boolean =>
  hasCode(error, 404) && error.reason === "NotFound" && error.message.endsWith("not found");
/**
 * The server does not know the kind: its CRD is not installed, or is installed again right now, or the server has just
 * started. It says nothing of any object.
 */
export const isNoSuchKind = (error: unknown): boolean => hasCode(error, 404) && !isNotFound(error);
/** The resourceVersion or precondition given is no longer true: read again, decide again. */
export const isConflict = (error: unknown): boolean => hasCode(error, 409) && !isAlreadyExists(error);
export const isAlreadyExists = (error: unknown): boolean => hasCode(error, 409) && error.reason === "AlreadyExists";
/** The resourceVersion is too old to watch from or to list on: list anew. */
export const isGone = (error: unknown): boolean => hasCode(error, 410);
/**
 * The object has more bytes than the API server or its store takes. etcd's own limit comes as a 500 with etcd's words, that
 * of the connection to etcd with gRPC's.
 */
export const isTooLarge = (error: unknown): boolean =>
  hasCode(error, 413) || (hasCode(error, 500) && /request is too large|message larger than max/.test(error.message));
export const isForbidden = (error: unknown): boolean => hasCode(error, 403);
export const isInvalid = (error: unknown): boolean => hasCode(error, 422);

/** The resourceVersion comes from a future this server does not know, as after a restore of etcd: list anew. */
export function isFromTheFuture(error: unknown): boolean {
  return error instanceof ApiError && error.causes.some((cause) => cause.reason === "ResourceVersionTooLarge");
}

/**
 * Whether the same request may succeed later with nobody changing anything: overload, a server restarting or electing a
 * leader, a full quota (it empties), a network that failed. Refusals (401, 403, 404, 409, 422) are answers, not trouble,
 * a certificate that does not verify stays wrong, and an object that is too large stays too large.
 */
export function isTransient(error: unknown): boolean {
  if (isTooLarge(error)) return false;
  if (error instanceof ApiError) {
    return error.code === 429 || error.code >= 500 || (error.code === 403 && /exceeded quota/i.test(error.message));
  }
  return error instanceof UnreachableError && !/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(error.message);
}

/**
 * Whether the same request may succeed later though nobody changes it: the server is in trouble, or what the request needs
 * is away for a moment. While RBAC or a CRD is applied again, and just after it has started, a server refuses what it allows.
 */
export function mayBeRestored(error: unknown): boolean {
  return isTransient(error) || hasCode(error, 401) || isForbidden(error) || isNoSuchKind(error);
}

/**
 * The server looked at the request and will not have it: no right, a policy, the schema. Another try says the same until
 * somebody changes something. Conflicts and what is not there (yet, any more) are none: they come of others at work.
 */
export function isRefusal(error: unknown): error is ApiError {
  if (!(error instanceof ApiError) || isTransient(error)) return false;
  return [400, 403, 405, 422].includes(error.code) || isTooLarge(error);
}

function hasCode(error: unknown, code: number): error is ApiError {
  return error instanceof ApiError && error.code === code;
}

/** fetch wraps what happened in "fetch failed"; the innermost error has the words that help. */
function rootCause(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError) inner = inner.errors[0];
  if (!(inner instanceof Error)) return String(inner);
  const code = "code" in inner ? String(inner.code) : "";
  return code === "" || inner.message.includes(code) ? inner.message : `${code}: ${inner.message}`;
}
