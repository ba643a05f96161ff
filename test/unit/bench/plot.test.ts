import { expect, test } from "vitest";
import { plotWaiting } from "../../bench/plot.ts";
import { waitingPoint } from "./samples.ts";

/** The corners of the lines of one run, a line for each panel. */
function corners(svg: string, run: "now" | "before"): number[][][] {
  const lines = [...svg.matchAll(new RegExp(`<polyline class="${run}" points="([^"]*)"`, "g"))];
  return lines.map(([, points = ""]) => points.split(" ").map((point) => point.split(",").map(Number)));
}

test("equal costs lie on a level line, at equal distances for each power of ten", () => {
  const svg = plotWaiting([waitingPoint(10_000), waitingPoint(100), waitingPoint(1000)]);
  for (const [first, second, third] of corners(svg, "now")) {
    expect([second?.[1], third?.[1]]).toEqual([first?.[1], first?.[1]]);
    expect((third?.[0] ?? 0) - (second?.[0] ?? 0)).toBeCloseTo((second?.[0] ?? 0) - (first?.[0] ?? 0));
  }
});

test("more is higher, and every figure has a panel of its own", () => {
  const costly = { endedPerSecond: 90, cpuMsPerOperation: 40, peakMB: 300, lagP99Ms: 500 };
  const lines = corners(plotWaiting([waitingPoint(100), waitingPoint(1000, costly)]), "now");
  expect(lines).toHaveLength(4);
  for (const [first, second] of lines) expect(second?.[1]).toBeLessThan(first?.[1] ?? 0);
});

test("what could not be measured is left out of its line, not drawn as nothing", () => {
  const svg = plotWaiting([waitingPoint(100), waitingPoint(1000, { endedPerSecond: Number.NaN })]);
  expect(corners(svg, "now").map((line) => line.length)).toEqual([1, 2, 2, 2]);
  expect(svg).not.toContain("NaN");
});

test("an earlier run is drawn in the same scale, and named", () => {
  const svg = plotWaiting([waitingPoint(100, { peakMB: 50 })], [waitingPoint(100, { peakMB: 500 })]);
  const [now, before] = [corners(svg, "now")[2], corners(svg, "before")[2]];
  expect(before?.[0]?.[1]).toBeLessThan(now?.[0]?.[1] ?? 0);
  expect(svg).toContain(">before</text>");
  expect(plotWaiting([waitingPoint(100)])).not.toContain(">before</text>");
});

test("it can be read on a dark page", () => {
  expect(plotWaiting([waitingPoint(100)])).toContain("@media (prefers-color-scheme: dark)");
});
