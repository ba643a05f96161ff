import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { counted, cutBytes, humanBytes } from "../../../src/api/message.ts";

describe("a size in words", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [1023.94 * 1024, "1023.9 KiB"],
    [19_756_849_562, "18.4 GiB"],
    [5 * 1024 ** 4, "5.0 TiB"],
    [2 * 1024 ** 6, "2.0 EiB"],
    [3000 * 1024 ** 6, "3000.0 EiB"],
  ])("%d", (bytes, words) => {
    expect(humanBytes(bytes)).toBe(words);
  });
});

it("counts one as one", () => {
  expect([counted(0, "item"), counted("1", "item"), counted(2, "item")]).toEqual(["0 items", "1 item", "2 items"]);
});

it("cuts a message to 1 KiB, between characters, and loses no more than a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), fc.nat(300), (start, times) => {
      const text = start.repeat(times);
      const cut = cutBytes(text);
      expect(text.startsWith(cut)).toBe(true);
      expect(cut.isWellFormed()).toBe(true);
      const bytes = Buffer.byteLength(cut);
      expect(bytes).toBeLessThanOrEqual(1024);
      if (cut !== text) expect(bytes).toBeGreaterThan(1024 - 4);
    }),
  );
});
