import { describe, expect, test } from "vitest";
import type { Figure } from "../../bench/figures.ts";
import { jsonReport, parseReport, quantity, tableReport } from "../../bench/report.ts";
import { report, waitingPoint } from "./samples.ts";

const operation: Figure = { what: "Operation", unit: "ms", samples: [1200, 1100, 1000], goal: "<= 900 ms" };
const cut: Figure = { what: "burst", unit: "s", samples: [90], note: "9 of 25 had ended" };
const empty: Figure = { what: "runner", unit: "MB", samples: [] };
const measured = report({ sections: [{ title: "One backup", figures: [operation, cut, empty] }] });

const lines = (text: string) => text.split("\n");

describe("the table", () => {
  test("says of each figure the median, the spread and the goal, in columns that line up", () => {
    expect(lines(tableReport(measured)).slice(0, 5)).toEqual([
      "One backup         median      95 %            from ... to  goal",
      "  Operation      1,100 ms  1,190 ms  1,000 ms ... 1,200 ms  <= 900 ms",
      "  burst              90 s",
      "  runner     not measured",
      "    burst: 9 of 25 had ended",
    ]);
  });

  test("says what machine the figures come from, and how busy it was", () => {
    expect(lines(tableReport(measured)).slice(-3)).toEqual([
      "commit abc1234, full run of 9 min 30 s",
      "2 x Some CPU, 23 GB, Linux 6.1, Node v24.0.0",
      "load average 0.10 before the run and 3.46 after it",
    ]);
  });

  test("shows the medians of an earlier run beside the new ones", () => {
    const before = report({
      sections: [{ title: "One backup", figures: [{ what: "Operation", unit: "ms", samples: [3000, 3000, 4000] }] }],
    });
    const [header, first, second] = lines(tableReport(measured, parseReport(jsonReport(before))));
    expect(header).toMatch(/ before {2}goal$/);
    expect(first).toMatch(/ 3,000 ms {2}<= 900 ms$/);
    expect(second).not.toMatch(/,000/);
  });

  test("has a column for each number of waiting Operations, and the earlier run's below each figure", () => {
    const now = report({
      waiting: [waitingPoint(100), waitingPoint(2000, { ended: 61, cpuMsPerOperation: Number.NaN })],
    });
    const before = report({ waiting: [waitingPoint(2000, { ended: 7 })] });
    const table = lines(tableReport(now, parseReport(jsonReport(before))));
    expect(table.slice(0, 3)).toEqual([
      "The dispatcher alone, waiting:             100   2,000  goal",
      "  ended                                    100      61",
      "      before                                 -       7",
    ]);
    expect(table).toContain("  CPU for each that ended               4.2 ms       -  <= 5 ms");
  });
});

describe("the JSON", () => {
  test("keeps every sample, with its summary", () => {
    const [figure] = JSON.parse(jsonReport(measured)).sections[0].figures;
    expect(figure).toEqual({ ...operation, median: 1100, p95: 1190, lowest: 1000, highest: 1200, count: 3 });
  });

  test("is read again as it was written, with what could not be told", () => {
    const { waiting } = parseReport(
      jsonReport(report({ waiting: [waitingPoint(100, { endedPerSecond: Number.NaN })] })),
    );
    expect(waiting).toEqual([waitingPoint(100, { endedPerSecond: Number.NaN })]);
  });

  test.each([
    ["not even that", /^not JSON: /],
    ['{"sections": []}', /^not a report of npm run bench: /],
  ])("%s is refused in words", (text, words) => {
    expect(() => parseReport(text)).toThrow(words);
  });
});

test.each([
  [1143.4, "ms", "1,143 ms"],
  [2.44, "s", "2.4 s"],
  [3, "s", "3 s"],
  [1.777, "x", "1.78 x"],
  [0.213, "/s", "0.21/s"],
  [452.4, "/s", "452/s"],
  [16, "", "16"],
] as const)("%d %s reads as %s", (value, unit, words) => {
  expect(quantity(value, unit)).toBe(words);
});
