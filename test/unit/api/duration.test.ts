import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseGoDuration } from "../../../src/api/duration.ts";

describe("parseGoDuration", () => {
  it.each([
    ["72h", 72n * 3_600_000_000_000n],
    ["1h30m", 5_400_000_000_000n],
    ["1.5h", 5_400_000_000_000n],
    [".5s", 500_000_000n],
    ["1.s", 1_000_000_000n],
    ["1m1ms", 60_001_000_000n],
    ["100us", 100_000n],
    ["100µs", 100_000n],
    ["100μs", 100_000n],
    ["+5m", 300_000_000_000n],
    ["-5m", -300_000_000_000n],
    ["0", 0n],
    ["0s", 0n],
    ["2562047h47m16.854775807s", 2n ** 63n - 1n],
  ])("reads %s as Go does", (text, nanoseconds) => {
    expect(parseGoDuration(text)).toBe(nanoseconds);
  });

  it.each([
    "",
    "-",
    "+",
    "1",
    "h",
    ".h",
    "1d",
    "1h 30m",
    "1H",
    "72hours",
    "1e3s",
    "٣h",
    "1h-5m",
    "2562048h",
    `${"9".repeat(30)}h`,
  ])("refuses %j", (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
  });

  it("adds up whatever terms it is given", () => {
    const units = { h: 3_600_000_000_000n, m: 60_000_000_000n, s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n };
    const term = fc.tuple(fc.nat(10_000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])));
    fc.assert(
      fc.property(fc.array(term, { minLength: 1, maxLength: 8 }), (terms) => {
        const text = terms.map(([n, unit]) => `${n}${unit}`).join("");
        const sum = terms.reduce((total, [n, unit]) => total + BigInt(n) * units[unit], 0n);
        expect(parseGoDuration(text)).toBe(sum);
      }),
    );
  });
});
