import { answered } from "./transport.ts";

/**
 * Splits a body into lines and parses each as JSON. Half a line at the end, as a cut connection leaves it, is dropped:
 * who resumes from the last whole line is sent it again.
 *
 * @throws SyntaxError for a whole line that is no JSON, UnreachableError when the connection breaks, the signal's reason
 *   once that aborts
 */
export async function* jsonLines(
  body: ReadableStream<Uint8Array> | null,
  request: { call: string; signal: AbortSignal },
): AsyncGenerator<unknown> {
  if (body === null) return;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await answered(request, reader.read());
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.trim() !== "") yield JSON.parse(line);
      }
    }
  } finally {
    // Without this the connection stays open when the consumer leaves early. A stream that already failed says so again.
    await reader.cancel().catch(() => undefined);
  }
}
