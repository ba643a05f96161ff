import { ApiException } from "@kubernetes/client-node";

/** An error in one readable line; the client's own ones carry a page of headers. */
export function errorLine(error: unknown): string {
  if (error instanceof ApiException) return `HTTP ${error.code}: ${String(error.body).trim().slice(0, 500)}`;
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${errorLine(error.cause)}`;
}
