import { describe, expect, test } from "vitest";
import { pairedDifferences, pairedRatios, quantile, summarize } from "../../bench/statistics.ts";

describe("quantile", () => {
  test("the median of an even number of samples lies between the two in the middle", () => {
    expect(quantile([40, 10, 30, 20], 0.5)).toBe(25);
  });

  test("nothing is said of no samples", () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});

test("a summary has the middle, both ends and what 95 of 100 samples do not exceed", () => {
  const samples = Array.from({ length: 101 }, (_, at) => 100 - at);
  expect(summarize(samples)).toEqual({ median: 50, p95: 95, lowest: 0, highest: 100, count: 101 });
});

test("no samples have no summary", () => {
  expect(summarize([])).toBeUndefined();
});

test("a machine that is ten times as slow in one round changes no ratio", () => {
  expect(pairedRatios([150, 1500, 150], [100, 1000, 100])).toEqual([1.5, 1.5, 1.5]);
});

test("a round that lacks a side, and one whose peer took no time, say nothing", () => {
  expect(pairedRatios([150, 150, 150], [100, 0])).toEqual([1.5]);
  expect(pairedDifferences([150, 150], [100])).toEqual([50]);
});
