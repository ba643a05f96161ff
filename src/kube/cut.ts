/** The beginning of a text in at most so many bytes of UTF-8, never ending inside a character. */
export function cutToBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  // As part of a stream: an incomplete character at the end is held back instead of turned into U+FFFD.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, maxBytes), { stream: true });
}
