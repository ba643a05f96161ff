import { createHash } from "node:crypto";

/** A text too long or too strange to be kept or shown as it is: two of them are the same if their digests are. */
export function digest(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
