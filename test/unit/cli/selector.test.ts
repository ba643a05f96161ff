import { expect, test } from "vitest";
import { parseSelector, type Selector } from "../../../src/cli/selector.ts";

test.each<[string, Selector]>([
  ["app=shop", { matchLabels: { app: "shop" } }],
  ["app == shop, tier=web", { matchLabels: { app: "shop", tier: "web" } }],
  ["app=", { matchLabels: { app: "" } }],
  ["tier!=cache", { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["cache"] }] }],
  [
    "env in (a, b),app=x",
    {
      matchLabels: { app: "x" },
      matchExpressions: [{ key: "env", operator: "In", values: ["a", "b"] }],
    },
  ],
  ["env notin (a)", { matchExpressions: [{ key: "env", operator: "NotIn", values: ["a"] }] }],
  ["example.org/x", { matchExpressions: [{ key: "example.org/x", operator: "Exists" }] }],
  ["!legacy", { matchExpressions: [{ key: "legacy", operator: "DoesNotExist" }] }],
])("%s", (text, selector) => {
  expect(parseSelector(text)).toEqual(selector);
});

test.each(["", "a=b,", "a b", "a in b", "a=(b)", "=b"])("%j is refused, and it is said what would be right", (text) => {
  expect(() => parseSelector(text)).toThrow(/^--selector: ".*" must be "key=value"/);
});

test("two values for one label are refused: nothing has both", () => {
  expect(() => parseSelector("a=1,a=2")).toThrow("two values of a");
});
