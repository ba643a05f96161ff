import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { krewManifest } from "../../../src/build/krewManifest.ts";
import { releaseNotes } from "../../../src/build/releaseNotes.ts";
import { VERSION } from "../../../src/version.ts";

describe("the notes of a release", () => {
  const changelog = `# Changelog

## [Unreleased]

## [1.2.3] - 2026-01-01

### Fixed

- This.

## [1.2.2] - 2025-12-31

- That.

[1.2.2]: https://example.com
`;

  test("are what the changelog says of it", () => {
    expect(releaseNotes(changelog, "1.2.3", "1.2.3")).toBe("### Fixed\n\n- This.\n");
    expect(releaseNotes(changelog, "1.2.2", "1.2.2")).toBe("- That.\n");
  });

  test.each([
    ["a tag of another version", "1.2.3", "1.2.4", "1.2.3 cannot be released: package.json says 1.2.4"],
    ["no section", "1.2.4", "1.2.4", 'CHANGELOG.md has no section "## [1.2.4]"'],
    ["nothing to say", "Unreleased", "Unreleased", "the section [Unreleased] of CHANGELOG.md is empty"],
  ])("do not exist for %s", (_, version, packageVersion, message) => {
    expect(() => releaseNotes(changelog, version, packageVersion)).toThrow(message);
  });
});

test("krew's manifest names the file of this version, its hash, and what is in it", () => {
  const { spec, metadata } = parse(krewManifest({ version: "1.2.3", sha256: "ab" }));
  expect(metadata.name).toBe("operation-runner");
  expect(spec.version).toBe("v1.2.3");
  // As krew demands.
  expect(spec.shortDescription.length).toBeLessThanOrEqual(50);
  expect(spec.platforms).toEqual([
    expect.objectContaining({
      uri: expect.stringMatching(/\/v1\.2\.3\/operation-runner-1\.2\.3\.tgz$/),
      sha256: "ab",
      bin: "dist/operation-runner.js",
    }),
  ]);
});

test("every file that names a version of this program names the one of package.json", () => {
  const files = globSync(["{jobs,manifests,docs}/**/*.{yaml,md}", "*.md", ".github/**/*.yml"], {
    exclude: ["CHANGELOG.md"],
  });
  const named = files.flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const versions = text.matchAll(/operation-runner(?::|\/\/[\w/.-]*\?ref=v|@)(\d+\.\d+\.\d+[\w.-]*)/g);
    return Array.from(versions, ([, version]) => `${file}: ${version}`);
  });
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((each) => !each.endsWith(`: ${VERSION}`))).toEqual([]);
});

test("every action of the release is pinned by its commit", () => {
  const workflow = readFileSync(".github/workflows/release.yml", "utf8");
  const uses = Array.from(workflow.matchAll(/uses: (.*)/g), ([, action]) => action);
  expect(uses.length).toBeGreaterThan(5);
  expect(uses.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(String(action)))).toEqual([]);
});
