import * as z from "zod";

const text = z.string().optional();
const causeSchema = z.looseObject({ reason: text, message: text, field: text });

/** The body of a refusal by the API server (meta/v1 Status). */
const statusSchema = z.lazy(() =>
  z.looseObject({
    kind: z.literal("Status"),
    code: z.number().optional(),
    reason: text,
    message: text,
    details: z
      .looseObject({ causes: z.array(causeSchema).optional(), retryAfterSeconds: z.number().optional() })
      .optional(),
  }),
);

const MAX_RETRY_AFTER_MS = 60_000;

export type StatusCause = z.infer<typeof causeSchema>;

/** The API server refused a call. The message names the call and repeats the server's reason. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status code. */
  readonly code: number;
  /** The server's reason in CamelCase (`AlreadyExists`); empty if it gave none. */
  readonly reason: string;
  /** The server's objections, field by field. */
  readonly causes: readonly StatusCause[];
  /**
   * How long the server asks to wait before the next try, in milliseconds. {@link MAX_RETRY_AFTER_MS} at most: a
   * proxy's mistake must not delay a call for a day, or overflow a timer, which would then not wait at all.
   */
  readonly retryAfterMs: number | undefined;

  /**
   * @param call the call, for the message: verb, resource, namespace/name
   * @param httpCode the HTTP status; an error within a stream has none, then the code in the Status counts
   * @param answer the body: a Status, JSON or text
   * @param retryAfter the header Retry-After, in seconds
   */
  constructor(call: string, httpCode: number | undefined, answer: unknown, retryAfter?: string) {
    const status = statusSchema.safeParse(answer).data;
    const code = httpCode ?? status?.code ?? 500;
    const message =
      status?.message ?? (typeof answer === "string" && answer.trim() !== "" ? answer.trim() : "no message");
    const reason = status?.reason ?? "";
    super(`${call}: ${code}${reason === "" ? "" : ` ${reason}`}: ${message.slice(0, 2048)}`);
    this.code = code;
    this.reason = reason;
    this.causes = status?.details?.causes ?? [];
    const seconds = status?.details?.retryAfterSeconds ?? Number(retryAfter);
    this.retryAfterMs =
      Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : undefined;
  }
}

/** The API server did not answer: the connection failed, broke, or took too long. The request may have taken effect. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(call: string, cause: unknown) {
    super(`${call}: no answer from the API server: ${rootCause(cause)}`);
  }
}

/** The answer is longer than the caller allows; most of it was not even fetched. */
export class AnswerTooLargeError extends Error {
  override readonly name = "AnswerTooLargeError";

  constructor(call: string, maxBytes: number) {
    super(`${call}: the answer has more than ${maxBytes} bytes`);
  }
}

/** The server sent an object that does not match the schema of its kind. */
export class MalformedObjectError extends Error {
  override readonly name = "MalformedObjectError";
  /** `namespace/name`, or the name alone. */
  readonly key: string;

  constructor(resource: string, key: string, cause: z.ZodError) {
    super(`${resource} ${key} does not match the schema of its kind: ${z.prettifyError(cause).replaceAll("\n", " ")}`);
    this.key = key;
  }
}

/** The server knows the kind, and there is no object of that name. */
export const isNotFound = (error: unknown): boolean =>
  hasCode(error, 404) && error.reason === "NotFound" && error.message.endsWith("not found");
/**
 * The server does not know the kind: its CRD is not installed, or is being installed again, or the server has just
 * started. It does not mean that an object is missing.
 */
export const isNoSuchKind = (error: unknown): boolean => hasCode(error, 404) && !isNotFound(error);
/** The given resourceVersion or precondition is out of date: read again, and decide again. */
export const isConflict = (error: unknown): boolean => hasCode(error, 409) && !isAlreadyExists(error);
export const isAlreadyExists = (error: unknown): boolean => hasCode(error, 409) && error.reason === "AlreadyExists";
/** The resourceVersion is too old for a watch or for the next page of a list: list again. */
export const isGone = (error: unknown): boolean => hasCode(error, 410);
/**
 * The object has more bytes than the API server or its store accepts. etcd's own limit shows as a 500 with etcd's
 * message, the limit of the connection to etcd as a 500 with gRPC's message.
 */
export const isTooLarge = (error: unknown): boolean =>
  hasCode(error, 413) || (hasCode(error, 500) && /request is too large|message larger than max/.test(error.message));
export const isForbidden = (error: unknown): boolean => hasCode(error, 403);
export const isInvalid = (error: unknown): boolean => hasCode(error, 422);

/** The resourceVersion is newer than the server's own, as after a restore of etcd: list again. */
export function isFromTheFuture(error: unknown): boolean {
  return error instanceof ApiError && error.causes.some((cause) => cause.reason === "ResourceVersionTooLarge");
}

/**
 * Whether the same request may succeed later although nobody changes anything: the server is overloaded, restarts or
 * elects a leader; a quota is full (it will empty); the network failed. Not for refusals (401, 403, 404, 409, 422), for
 * a certificate that does not verify, or for an object that is too large.
 */
export function isTransient(error: unknown): boolean {
  if (isTooLarge(error)) return false;
  if (error instanceof ApiError) {
    return error.code === 429 || error.code >= 500 || (error.code === 403 && /exceeded quota/i.test(error.message));
  }
  return error instanceof UnreachableError && !/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(error.message);
}

/**
 * Whether the same request may succeed later: the server is in trouble, or a right or kind is missing for a moment. A
 * server refuses what it otherwise allows while RBAC or a CRD is being applied again, and just after it has started.
 */
export function mayPassLater(error: unknown): boolean {
  return isTransient(error) || hasCode(error, 401) || isForbidden(error) || isNoSuchKind(error);
}

/**
 * Whether the server refused the request for good: a missing right, a policy, the schema. Another try is refused as
 * well, until somebody changes something. A conflict or a missing object is no such refusal: another writer causes
 * those.
 */
export function isRefusal(error: unknown): error is ApiError {
  if (!(error instanceof ApiError) || isTransient(error)) return false;
  return [400, 403, 405, 422].includes(error.code) || isTooLarge(error);
}

function hasCode(error: unknown, code: number): error is ApiError {
  return error instanceof ApiError && error.code === code;
}

/** Libraries wrap errors in general ones such as "fetch failed"; the innermost error says what happened. */
function rootCause(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError) inner = inner.errors[0];
  if (!(inner instanceof Error)) return String(inner);
  const code = "code" in inner ? String(inner.code) : "";
  return code === "" || inner.message.includes(code) ? inner.message : `${code}: ${inner.message}`;
}
