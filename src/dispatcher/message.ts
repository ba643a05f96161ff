import { cutBytes } from "../api/message.ts";

/**
 * A text for a condition's message: one line of well-formed Unicode, 1 KiB of UTF-8 at most, in which nothing of what a
 * tenant or a program wrote can break a line or a terminal.
 */
export function oneLine(text: string): string {
  const line = text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ");
  return cutBytes(line.trim());
}

const MAX_QUOTED = 80;

/** A tenant's value inside a message: in quotes, and cut where it is long. */
export function quoted(value: string): string {
  return JSON.stringify(value.length <= MAX_QUOTED ? value : `${value.slice(0, MAX_QUOTED)}…`);
}
