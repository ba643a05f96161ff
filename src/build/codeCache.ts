import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import * as z from "zod";
import { codeCacheOf, runFile } from "../codeCache.ts";
import { fileOf, PARTS } from "./parts.ts";
import { rehearse } from "./rehearsal.ts";

const runnerSchema = z.object({ main: z.custom<(env: NodeJS.ProcessEnv) => Promise<number>>() });

/**
 * Lays beside each part of a bundle what V8 made of it: of the runner all that a quiet backup uses, of the others what they
 * need to start. Only the very same Node takes it, so the image's own makes it:
 *
 *     node --hash-seed=1 --predictable src/build/codeCache.ts dist
 *
 * With these flags V8 writes the same bytes each time, for files at the same place.
 *
 * @throws when the runner does not carry its backup out
 */
async function makeCodeCache(folder: string): Promise<void> {
  const files = Object.keys(PARTS).map((part) => path.join(folder, fileOf(part)));
  const loaded = files.map((file) => ({ file, ...runFile(file, createRequire(file)) }));
  const runner = loaded.find(({ file }) => path.basename(file) === fileOf("run"));
  const { exitCode } = await rehearse(runnerSchema.parse(runner?.exports).main);
  if (exitCode !== 0) throw new Error(`the rehearsed backup ended with exit code ${exitCode}`);
  // V8 takes no code that was made under other flags than its own.
  setFlagsFromString("--hash-seed=0");
  for (const { file, script } of loaded) writeFileSync(codeCacheOf(file), script.createCachedData());
}

await makeCodeCache(path.resolve(process.argv[2] ?? "dist"));
