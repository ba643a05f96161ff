/**
 * What CHANGELOG.md says of a version, in Markdown without the heading.
 *
 * @param packageVersion what package.json says
 * @throws Error when that is another version, or the changelog has no section of it or an empty one
 */
export function releaseNotes(changelog: string, version: string, packageVersion: string): string {
  if (version !== packageVersion) {
    throw new Error(`${version} cannot be released: package.json says ${packageVersion}`);
  }
  const sections = changelog.split(/^## /m);
  const section = sections.find((each) => each.startsWith(`[${version}]`));
  if (section === undefined) {
    throw new Error(`CHANGELOG.md has no section "## [${version}]"; rename "## [Unreleased]" to it`);
  }
  const notes = section.slice(section.indexOf("\n")).replaceAll(/^\[.*\]: .*$/gm, "");
  if (notes.trim() === "") throw new Error(`the section [${version}] of CHANGELOG.md is empty`);
  return `${notes.trim()}\n`;
}
