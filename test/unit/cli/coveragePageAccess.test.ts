// @vitest-environment jsdom
import axe from "axe-core";
import { expect, test } from "vitest";
import { z } from "zod";
import { coveragePage } from "../../../src/cli/coveragePage.ts";
import { run, targets } from "./coverageSamples.ts";

// Whether everybody can read the page, by axe-core's rules. jsdom draws nothing: contrast is computed in
// coveragePage.test.ts, and what scrolls is told here by who wants to scroll it with a keyboard.
const pageSchema = z.object({
  document: z.custom<{ open(): void; write(html: string): void; close(): void }>((value) => value !== undefined),
});

test.each([
  ["of some targets", targets],
  ["of none", []],
  ["of a name that needs escaping", [{ namespace: "org-a", target: "<b>&'\"", flaws: [], runs: [run(1)] }]],
])("the page %s breaks none of the rules that can be checked without drawing it", async (_, shown) => {
  const { document } = pageSchema.parse(globalThis);
  document.open();
  document.write(
    coveragePage(shown, {
      now: new Date("2026-01-15T12:00:00Z"),
      maxAge: "24h",
      scope: "all namespaces",
      notes: ["a note"],
    }),
  );
  document.close();
  const { violations, passes } = await axe.run({ rules: { "color-contrast": { enabled: false } } });
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
  expect(passes.map(({ id }) => id)).toEqual(expect.arrayContaining(["html-has-lang", "heading-order", "region"]));
});

test("what is wider than a narrow window can be scrolled with a keyboard", () => {
  const html = coveragePage(targets, {
    now: new Date("2026-01-15T12:00:00Z"),
    maxAge: undefined,
    scope: "x",
    notes: [],
  });
  const scrolled = html.match(/<div class="scroll"[^>]*>/g) ?? [];
  expect(scrolled.length).toBeGreaterThan(3);
  for (const each of scrolled) expect(each).toMatch(/role="(region|group)" aria-label="[^"]+" tabindex="0"/);
});
