import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonLines } from "../../../src/kube/stream.ts";

async function read(chunks: readonly Uint8Array[]): Promise<unknown[]> {
  const body = Readable.from(chunks);
  const lines: unknown[] = [];
  for await (const line of jsonLines(body)) lines.push(line);
  return lines;
}

test("lines come out whole, wherever the network cuts them, even inside a character", async () => {
  const values = fc.array(fc.record({ text: fc.string({ unit: "binary" }) }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(values, fc.integer({ min: 1, max: 9 }), async (lines, size) => {
      const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(await read(chunks)).toEqual(JSON.parse(JSON.stringify(lines)));
    }),
  );
});

test("half a line at the end is dropped, an empty one is nothing", async () => {
  expect(await read([Buffer.from('{"a":1}\n\n{"b":')])).toEqual([{ a: 1 }]);
});

test("a whole line that is no JSON is an error", async () => {
  await expect(read([Buffer.from("<html>\n")])).rejects.toThrow(SyntaxError);
});
