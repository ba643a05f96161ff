import { expect, test } from "vitest";
import { parseFlags, SECTIONS, UsageError } from "../../bench/flags.ts";

test("without flags everything is measured, at full length", () => {
  expect(parseFlags([])).toEqual({
    help: false,
    quick: false,
    sections: new Set(SECTIONS),
    json: undefined,
    plot: undefined,
    before: undefined,
  });
});

test("--only takes some of the sections, separated by commas", () => {
  expect(parseFlags(["--only", "burst,latency"]).sections).toEqual(new Set(["burst", "latency"]));
});

const WRONG: readonly (readonly [readonly string[], string])[] = [
  [["--fast"], "Unknown option '--fast'"],
  [["--only", "bursts"], '--only names "bursts", and can name latency, requests, runner, burst, waiting, memory'],
  [["--only", ""], '--only names "", and can name'],
  [["--json"], "Option '--json <value>' argument missing"],
  [["--plot", "cost.png"], '--plot is "cost.png", and has to be a file whose name ends in .svg'],
  [["--only", "burst", "--plot", "cost.svg"], '--plot draws what "waiting" measures, which --only leaves out'],
];

test.each(WRONG)("%j is refused in words", (args, words) => {
  expect(() => parseFlags([...args])).toThrow(UsageError);
  expect(() => parseFlags([...args])).toThrow(words);
});
