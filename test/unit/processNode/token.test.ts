import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { keepToken, renewAt } from "../../cluster/processNode/token.ts";

test("a token is renewed after four fifths of its life", () => {
  const issued = new Date("2026-01-01T00:00:00Z");
  expect(renewAt(issued, new Date("2026-01-01T01:00:00Z"))).toEqual(new Date("2026-01-01T00:48:00Z"));
});

test("the token file is replaced before it expires, also after a refused request", async () => {
  const folder = await mkdtemp(join(tmpdir(), "token-"));
  const file = join(folder, "token");
  const stop = new AbortController();
  const answers = [() => Promise.reject(new Error("API server away")), () => Promise.resolve("second")];
  const request = vi.fn(async () => {
    const answer = answers.shift() ?? (() => Promise.resolve("third"));
    return { token: await answer(), expires: new Date(Date.now() + (answers.length === 0 ? 20 : 3_600_000)) };
  });
  const first = { token: "first", expires: new Date(Date.now() + 20) };
  const keeping = keepToken(file, first, request, pino({ level: "silent" }), stop.signal);
  await vi.waitFor(async () => expect(await readFile(file, "utf8")).toBe("third"), { timeout: 10_000 });
  stop.abort();
  await keeping;
  const asked = request.mock.calls.length;
  expect(asked).toBeGreaterThanOrEqual(3);
  await rm(folder, { recursive: true });
});
