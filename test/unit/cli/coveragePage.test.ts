import { describe, expect, test } from "vitest";
import type { TargetCoverage } from "../../../src/cli/coverage.ts";
import { coveragePage } from "../../../src/cli/coveragePage.ts";
import { now, run, targets } from "./coverageSamples.ts";

function page(shown: readonly TargetCoverage[] = targets) {
  return coveragePage(shown, { now, maxAge: "24h", scope: "all namespaces", notes: ["no right to see <some>"] });
}

describe("the page", () => {
  test("says how many are as they should be, and of each what it has", () => {
    const html = page();
    expect(html).toContain("1 of 2 targets are backed up as they should be. A backup is due every 24h.");
    expect(html).toContain("<dt>never backed up</dt><dd>1</dd>");
    expect(html).toContain('aria-label="org-a/shop, the last 14 days: 3 succeeded, 1 degraded, 1 failed"');
    expect(html).toContain("org-b/wiki: nothing has ended");
    expect(html).toContain("<td>Failed<br><small>RunnerFailed: no space</small></td>");
    expect(html).toContain('aria-label="3 backups, from 667.6 MiB to 948.9 MiB, 948.9 MiB at most"');
  });

  test("needs nothing but itself", () => {
    expect(page()).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|href=|url\(|@import|\bon[a-z]+=/i);
  });

  test("lets no text of anybody's be markup", () => {
    const why = '</small><script>alert("x")</script>';
    const html = page([
      {
        namespace: "org-a",
        target: "<b>&'\"",
        flaws: ["Failing"],
        why,
        since: run(1).finishedAt,
        runs: [run(1, { why })],
      },
    ]);
    expect(html).not.toContain("<script");
    expect(html).not.toContain("<b>");
    expect(html).toContain("&#60;b&#62;&#38;&#39;&#34;");
    expect(html).toContain("no right to see &#60;some&#62;");
  });

  test("can be read without seeing it: a language, one title, headings in order, tables and pictures with names", () => {
    const html = page();
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html.match(/<h1>/g)).toHaveLength(1);
    expect([...html.matchAll(/<h([1-6])/g)].map(([, level]) => level)).toEqual(["1", "2", "2", "2", "2"]);
    for (const [table] of html.matchAll(/<table>[\s\S]*?<\/table>/g)) {
      expect(table).toMatch(/<caption>[^<]+<\/caption>/);
      expect(table).not.toMatch(/<th(?! scope="(col|row)")[ >]/);
    }
    for (const [svg] of html.matchAll(/<svg[^>]*>/g))
      expect(svg).toMatch(/role="img" aria-label="[^"]+"|aria-hidden="true"/);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, id] of html.matchAll(/aria-labelledby="([^"]+)"/g)) expect(ids).toContain(id);
  });

  test("has enough contrast in a light and in a dark room, and on paper (WCAG 2.2, 1.4.3)", () => {
    const palettes = [...page().matchAll(/:root\{([^}]*)\}/g)].map(([, colors = ""]) =>
      Object.fromEntries([...colors.matchAll(/--(\w+):(#\w+)/g)].map(([, name, color]) => [name, color])),
    );
    expect(palettes).toHaveLength(3);
    for (const { back = "", rule: _line, ...colors } of palettes) {
      for (const [name, color] of Object.entries(colors)) {
        expect({ name, contrast: contrast(String(color), back) >= 4.5 }).toEqual({ name, contrast: true });
      }
    }
  });

  test("is no less of a page where there is nothing to show", () => {
    expect(page([])).toContain("There are no targets.");
  });
});

function contrast(one: string, other: string): number {
  const [light = 1, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** Relative luminance: WCAG 2.2. */
function luminance(color: string): number {
  const hex = color.length === 4 ? color.replace(/[0-9a-f]/g, "$&$&") : color;
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
