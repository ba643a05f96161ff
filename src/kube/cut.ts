/** The beginning of a text, `maxBytes` of UTF-8 at most, never cut inside a character. */
export function cutToBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  // In a stream, the decoder keeps back an incomplete character at the end instead of making U+FFFD of it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, maxBytes), { stream: true });
}
