import { cutToBytes } from "../kube/cut.ts";
import type { OperationType } from "./operation.ts";
import type { VeleroObject } from "./velero.ts";

/** Texts for people: messages within their limit, and sizes and counts in words. */

/** The longest message of a condition, in bytes of UTF-8. docs/contract.md#velero-phases. */
export const MAX_MESSAGE_BYTES = 1024;

/** The text as the message of a condition: verbatim up to the limit, never cut inside a character. */
export function cutBytes(text: string): string {
  return cutToBytes(text, MAX_MESSAGE_BYTES);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes in binary units with one decimal, `18.4 GiB`; below 1 KiB whole, `512 B`. */
export function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 1;
  // 1023.96 KiB would round to 1024.0 KiB: it is 1.0 MiB.
  while (Number(value.toFixed(1)) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1 item`, `412 items`. */
export function counted(count: number | string, noun: string): string {
  return `${count} ${noun}${Number(count) === 1 ? "" : "s"}`;
}

/** The commands that show everything that Velero has recorded about an object. */
export function placesOf(type: OperationType, { metadata: { name } }: VeleroObject): string {
  const command = `velero ${type.toLowerCase()}`;
  return `${command} describe ${name} --details, ${command} logs ${name}`;
}

/**
 * A text for a condition's message: one line of well-formed Unicode, 1 KiB of UTF-8 at most. Nothing that a tenant or a
 * program has written can break the line, or a terminal.
 */
export function oneLine(text: string): string {
  const line = text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ");
  return cutBytes(line.trim());
}

const MAX_QUOTED = 80;

/** A tenant's value inside a message: in quotes, and cut if it is long. */
export function quoted(value: string): string {
  return JSON.stringify(value.length <= MAX_QUOTED ? value : `${value.slice(0, MAX_QUOTED)}…`);
}
