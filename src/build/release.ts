import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { VERSION } from "../version.ts";
import { krewManifest } from "./krewManifest.ts";
import { releaseNotes } from "./releaseNotes.ts";

/**
 * What the release workflow needs of the source, on standard output:
 *
 *   node src/build/release.ts notes VERSION   the notes of the release; fails where it is not to be released
 *   node src/build/release.ts krew PACKAGE    krew's manifest, for the file that npm has packed
 */

const [command, argument = ""] = process.argv.slice(2);
if (command === "notes") {
  const changelog = await readFile(path.join(import.meta.dirname, "../../CHANGELOG.md"), "utf8");
  process.stdout.write(releaseNotes(changelog, argument, VERSION));
} else if (command === "krew") {
  const sha256 = createHash("sha256")
    .update(await readFile(argument))
    .digest("hex");
  process.stdout.write(krewManifest({ version: VERSION, sha256 }));
} else {
  throw new Error(`unknown command ${command}: notes VERSION, or krew PACKAGE`);
}
