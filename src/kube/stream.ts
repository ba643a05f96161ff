/**
 * Splits a body into lines and parses each as JSON. Half a line at the end, as a cut connection leaves it, is dropped:
 * who resumes from the last whole line is sent it again.
 *
 * @throws SyntaxError for a whole line that is no JSON, and whatever the body fails with
 */
export async function* jsonLines(body: ReadableStream<Uint8Array> | null): AsyncGenerator<unknown, undefined> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() !== "") yield JSON.parse(line);
    }
  }
}
