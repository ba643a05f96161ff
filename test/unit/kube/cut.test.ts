import fc from "fast-check";
import { expect, test } from "vitest";
import { cutToBytes } from "../../../src/kube/cut.ts";

test("what is left is the longest beginning that fits, in whole characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(30), (text, max) => {
      const cut = cutToBytes(text, max);
      expect(text.startsWith(cut)).toBe(true);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(max);
      const [next = ""] = [...text.slice(cut.length)];
      if (next !== "") expect(Buffer.byteLength(cut + next)).toBeGreaterThan(max);
    }),
  );
});

test("a euro sign that does not fit whole is left out", () => {
  expect(cutToBytes("12€", 4)).toBe("12");
  expect(cutToBytes("12€", 5)).toBe("12€");
});
