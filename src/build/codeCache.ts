import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import * as z from "zod";
import type * as cli from "../cli/main.ts";
import type { Terminal } from "../cli/terminal.ts";
import type * as verbs from "../cli/verbs.ts";
import { codeCacheOf, runFile } from "../codeCache.ts";
import { fileOf, PARTS } from "./parts.ts";
import { rehearse } from "./rehearsal.ts";

type Program = (env: NodeJS.ProcessEnv) => Promise<number>;
const runnerSchema = z.object({ main: z.custom<Program>() });
const cliSchema = z.object({ main: z.custom<typeof cli.main>() });
const verbsSchema = z.object({
  openAccess: z.custom<typeof verbs.openAccess>(),
  get: z.custom<typeof verbs.get>(),
  describe: z.custom<typeof verbs.describe>(),
  status: z.custom<typeof verbs.status>(),
});

/**
 * Lays beside each part of a bundle what V8 made of it: of the runner all that a quiet backup uses, of the commands what help
 * and a look at an Operation use, of the dispatcher what it needs to start. Only the very same Node takes it, so the image's own
 * makes it:
 *
 *     node --hash-seed=1 --predictable src/build/codeCache.ts dist
 *
 * With these flags V8 writes the same bytes each time, for files at the same place.
 *
 * @throws when a rehearsed program does not end well
 */
async function makeCodeCache(folder: string): Promise<void> {
  const files = Object.keys(PARTS).map((part) => path.join(folder, fileOf(part)));
  const loaded = files.map((file) => ({ file, ...runFile(file, createRequire(file)) }));
  const part = (name: keyof typeof PARTS) => loaded.find(({ file }) => path.basename(file) === fileOf(name))?.exports;
  await mustEnd("the rehearsed backup", rehearse(runnerSchema.parse(part("run")).main));
  await mustEnd(
    "the rehearsed help",
    silently(() => cliSchema.parse(part("cli")).main(["--help"], {}, "")),
  );
  await mustEnd("the rehearsed commands", rehearse(lookedAt(verbsSchema.parse(part("verbs")))));
  // V8 takes no code that was made under other flags than its own.
  setFlagsFromString("--hash-seed=0");
  for (const { file, script } of loaded) writeFileSync(codeCacheOf(file), script.createCachedData());
}

async function mustEnd(what: string, ending: Promise<number | { readonly exitCode: number }>): Promise<void> {
  const ended = await ending;
  const exitCode = typeof ended === "number" ? ended : ended.exitCode;
  if (exitCode !== 0) throw new Error(`${what} ended with exit code ${exitCode}`);
}

/** What people ask for most. */
function lookedAt({ openAccess, get, describe, status }: z.infer<typeof verbsSchema>): Program {
  return async (env) => {
    const terminal: Terminal = {
      out: () => {},
      err: () => {},
      style: (_, text) => text,
      progress: () => {},
      columns: () => undefined,
      ask: async () => undefined,
    };
    const access = openAccess({ namespace: "team" }, env);
    const context = { access, terminal, interrupt: new AbortController().signal, now: () => new Date() };
    return (
      (await get([], { output: "table" }, context)) ||
      (await describe("backup", context)) ||
      (await status({ output: "table" }, context))
    );
  };
}

/** Runs something without what it writes to the standard output. */
async function silently<T>(act: () => Promise<T>): Promise<T> {
  const { write } = process.stdout;
  process.stdout.write = () => true;
  try {
    return await act();
  } finally {
    process.stdout.write = write;
  }
}

await makeCodeCache(path.resolve(process.argv[2] ?? "dist"));
