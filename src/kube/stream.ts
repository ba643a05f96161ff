/**
 * Splits a body into lines and parses each as JSON. Half a line at the end, as a broken connection leaves it, is
 * dropped: a watch that resumes from the last whole line gets it again.
 *
 * @throws SyntaxError for a whole line that is no JSON, and whatever the body fails with
 */
export async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, undefined> {
  const decoder = new TextDecoder();
  // A line of megabytes comes in many parts; joining them only once keeps this linear.
  let begun: string[] = [];
  for await (const bytes of body) {
    const [more = "", ...others] = decoder.decode(bytes, { stream: true }).split("\n");
    begun.push(more);
    const last = others.pop();
    if (last === undefined) continue;
    for (const line of [begun.join(""), ...others]) {
      if (line.trim() !== "") yield JSON.parse(line);
    }
    begun = [last];
  }
}

/**
 * Reads a body as text if it has `maxBytes` at most. The rest of a longer body is never fetched.
 *
 * @returns undefined for a longer body
 */
export async function textUpTo(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Reads a body to its end. */
export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}
