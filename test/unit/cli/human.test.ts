import { expect, test } from "vitest";
import { age, ago } from "../../../src/cli/human.ts";

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];

// As kubectl's own AGE column has them: k8s.io/apimachinery, duration.HumanDuration.
test.each([
  [-5 * second, "0s"],
  [119 * second, "119s"],
  [2 * minute, "2m"],
  [9 * minute + 59 * second, "9m59s"],
  [10 * minute + 30 * second, "10m"],
  [179 * minute, "179m"],
  [3 * hour + 5 * minute, "3h5m"],
  [8 * hour + 5 * minute, "8h"],
  [47 * hour, "47h"],
  [2 * day + 3 * hour, "2d3h"],
  [8 * day + 3 * hour, "8d"],
  [730 * day, "2y"],
  [8 * 365 * day + 3 * day, "8y"],
])("%d ms is %s", (ms, text) => {
  expect(age(ms)).toBe(text);
});

test("the age of what has no time is unknown", () => {
  expect(ago(undefined, new Date())).toBe("<unknown>");
  expect(ago("2026-01-01T00:00:00Z", new Date("2026-01-01T00:00:07Z"))).toBe("7s");
});
