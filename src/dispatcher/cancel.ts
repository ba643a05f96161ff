import { Annotation } from "../api/labels.ts";
import type { Operation } from "../api/operation.ts";

/** Whether a person asks for the end of it. docs/contract.md, Cancel, delete, re-run. */
export function cancelRequested(operation: Operation): boolean {
  return operation.metadata.annotations?.[Annotation.cancel] === "true";
}
