import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutList } from "../../../../src/api/cutList.ts";
import { listResults, resultsSchema } from "../../../../src/runner/outputs/results.ts";

/** As the API server stores it: Go writes these characters as `\\u003c` and the like. */
function bytesInGo(list: string[]): number {
  return Buffer.byteLength(JSON.stringify(list).replaceAll(/[<>&\u2028\u2029]/g, "\\u0000"));
}

describe("Velero's results", () => {
  const seen = resultsSchema.parse({ errors: { velero: [" message: /no matches for kind"] }, warnings: {} });

  it("are listed in Velero's words, scope first", () => {
    expect(listResults(seen, { withErrors: true })).toEqual(["error: velero: message: /no matches for kind"]);
    expect(listResults(seen, { withErrors: false })).toEqual([]);
  });

  it("may have nulls where Go had nothing", () => {
    const empty = resultsSchema.parse({ warnings: { velero: null, namespaces: { "org-a": null } }, errors: null });
    expect(listResults(empty, { withErrors: true })).toEqual([]);
  });

  it.each(["text", null, { warnings: { velero: "text" } }])("are not %j", (garbage) => {
    expect(resultsSchema.safeParse(garbage).success).toBe(false);
  });
});

describe("a list for the status", () => {
  it("is left alone while it fits", () => {
    const entries = ["a", "b"];
    expect(cutList(entries, "elsewhere", 8)).toEqual(entries);
  });

  it("ends with how many are left out and where they are", () => {
    const entries = Array.from({ length: 100 }, () => "x".repeat(10));
    const cut = cutList(entries, "velero backup describe b1 --details", 200);
    expect(cut).toEqual([...entries.slice(0, 11), "89 more left out: velero backup describe b1 --details"]);
  });

  it("counts <, > and & as the six bytes that the API server makes of them", () => {
    expect(cutList(["<".repeat(20), "small"], "there", 100)).toEqual(["small", "1 more left out: there"]);
    expect(cutList(["l".repeat(20), "small"], "there", 100)).toEqual(["l".repeat(20), "small"]);
  });

  it("does not lose the small ones behind one that is too long", () => {
    expect(cutList(["x".repeat(1000), "small"], "there", 100)).toEqual(["small", "1 more left out: there"]);
  });

  it("stays within 256 KiB of JSON, whatever is in it, and accounts for every entry", () => {
    const entry = fc
      .tuple(fc.oneof(fc.string({ unit: "binary", maxLength: 4 }), fc.constant("<&>\u2028")), fc.nat(10_000))
      .map(([text, times]) => text.repeat(times));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60, size: "max" }), (entries) => {
        const cut = cutList(entries, "there");
        expect(bytesInGo(cut)).toBeLessThanOrEqual(256 * 1024 + 1);
        const left = Number(/^(\d+) more left out: there$/.exec(cut.at(-1) ?? "")?.[1] ?? 0);
        expect(cut.length + left - (left > 0 ? 1 : 0)).toBe(entries.length);
      }),
      { numRuns: 100 },
    );
  });
});
