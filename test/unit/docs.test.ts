import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const repository = path.join(import.meta.dirname, "../..");

const pages = filesOf("*.md", ".github/**/*.md", "docs/**/*.md", "manifests/**/*.md", "test/**/*.md");
const sources = filesOf("src/**/*.ts", "test/**/*.ts", "manifests/**/*.{ts,yaml}", "jobs/*.yaml", "docs/**/*.yaml");

describe("the documentation", () => {
  it("has every page and heading to which a link leads", () => {
    const whole = (link: string, page: string) =>
      link.startsWith("#") ? `${page}${link}` : path.join(path.dirname(page), link);
    expect(problems(pages, linksOf, (link, page) => whyBroken(whole(link, page)))).toEqual([]);
  });

  it("has every rule and fact that the source, the tests or the manifests cite", () => {
    expect(problems([...sources, ...pages], citationsOf, whyBroken)).toEqual([]);
  });

  it("names no file that does not exist", () => {
    expect(problems(pages, pathsOf, whyBroken)).toEqual([]);
  });
});

function filesOf(...patterns: string[]): string[] {
  return globSync(patterns, { cwd: repository, exclude: ["**/node_modules/**", "CHANGELOG.md"] }).sort();
}

/** `file: what: why not`, for whatever `find` finds in the files and `judge` objects to. */
function problems(
  files: readonly string[],
  find: (text: string) => string[],
  judge: (found: string, file: string) => string | undefined,
): string[] {
  return files.flatMap((file) =>
    find(read(file)).flatMap((found) => {
      const why = judge(found, file);
      return why === undefined ? [] : [`${file}: ${found}: ${why}`];
    }),
  );
}

function read(file: string): string {
  return readFileSync(path.join(repository, file), "utf8");
}

/** The targets of the links to files of the repository, as Markdown has them: `[text](target)`. */
function linksOf(markdown: string): string[] {
  const targets = Array.from(markdown.matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** `docs/contract.md#create-once`, wherever it stands; also one that names a section instead, which nobody could check. */
function citationsOf(text: string): string[] {
  return Array.from(text.matchAll(/\bdocs\/[\w-]+\.md(#[\w-]+|, ([A-Z]|section))/g), ([citation]) => citation);
}

/** Paths from the top of the repository. */
function pathsOf(markdown: string): string[] {
  const paths = /(?<![\w./-])(?:src|test|manifests|jobs|docs|\.github|\.ci)\/[\w./*-]*\w/g;
  return Array.from(markdown.matchAll(paths), ([name]) => name);
}

/** @param link to a file, or several (`*`), from the top of the repository, with or without an anchor */
function whyBroken(link: string): string | undefined {
  const [target = "", anchor] = link.split("#");
  const [file] = globSync(target, { cwd: repository });
  if (file === undefined) return "there is no such file";
  if (anchor === undefined) return undefined;
  return anchorsOf(read(file)).includes(anchor) ? undefined : "there is no such heading";
}

/** The anchors that GitHub gives to the headings. */
function anchorsOf(markdown: string): string[] {
  const text = markdown.replaceAll(/^```.*?^```/gms, "");
  const headings = Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = ""]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
