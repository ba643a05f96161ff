/** Texts for people: what Velero says, kept whole up to a limit, and sizes and counts in words. */

/** The longest message of a condition, in bytes of UTF-8. docs/contract.md, Status mapping. */
export const MAX_MESSAGE_BYTES = 1024;

/**
 * The beginning of a text that fits into so many bytes of UTF-8, never ending inside a character. A text that fits comes
 * back as it is.
 */
export function cutBytes(text: string, maxBytes: number = MAX_MESSAGE_BYTES): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  // 10xxxxxx continues a character: cut before the byte that begins it.
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end -= 1;
  return bytes.toString("utf8", 0, end);
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
