import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import * as z from "zod";
import type { Context } from "../cli/context.ts";
import type * as everyday from "../cli/everydayVerbs.ts";
import type * as further from "../cli/furtherVerbs.ts";
import type * as cli from "../cli/main.ts";
import type { Terminal } from "../cli/terminal.ts";
import { codeCacheOf, runFile } from "../codeCache.ts";
import { fileOf, PARTS } from "./parts.ts";
import { rehearse } from "./rehearsal.ts";

type Program = (env: NodeJS.ProcessEnv) => Promise<number>;
const runnerSchema = z.object({ main: z.custom<Program>() });
const cliSchema = z.object({ main: z.custom<typeof cli.main>() });
const everydaySchema = z.object({
  openAccess: z.custom<typeof everyday.openAccess>(),
  get: z.custom<typeof everyday.get>(),
  describe: z.custom<typeof everyday.describe>(),
  status: z.custom<typeof everyday.status>(),
});
const furtherSchema = z.object({
  openAccess: z.custom<typeof further.openAccess>(),
  backup: z.custom<typeof further.backup>(),
  logs: z.custom<typeof further.logs>(),
});

/**
 * Lays beside each part of a bundle what V8 made of it: of the runner all that a quiet backup uses, of the commands what help,
 * a look at an Operation and a request use, of the dispatcher what it needs to start. Only the very same Node takes it, so the
 * image's own makes it:
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
  const { get, describe, status, ...everyday } = everydaySchema.parse(part("everydayVerbs"));
  const looking = withContext(everyday, async (context) => {
    const exits = [await get([], { output: "table" }, context), await describe("backup", context)];
    return Math.max(...exits, await status({ output: "table" }, context));
  });
  await mustEnd("the rehearsed looks at an Operation", rehearse(looking));
  const { backup, logs, ...further } = furtherSchema.parse(part("furtherVerbs"));
  const asking = withContext(further, async (context) => {
    const asked = await backup("any", undefined, { dryRun: "none", timeout: "0" }, context);
    return Math.max(asked, await logs("backup", {}, context));
  });
  await mustEnd("the rehearsed request", rehearse(asking));
  // V8 takes no code that was made under other flags than its own.
  setFlagsFromString("--hash-seed=0");
  for (const { file, script } of loaded) writeFileSync(codeCacheOf(file), script.createCachedData());
}

async function mustEnd(what: string, ending: Promise<number | { readonly exitCode: number }>): Promise<void> {
  const ended = await ending;
  const exitCode = typeof ended === "number" ? ended : ended.exitCode;
  if (exitCode !== 0) throw new Error(`${what} ended with exit code ${exitCode}`);
}

/** Has a part of the commands act for somebody whose terminal shows nothing. */
function withContext(
  { openAccess }: Pick<typeof everyday, "openAccess">,
  act: (context: Context) => Promise<number>,
): Program {
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
    return await act({ access, terminal, interrupt: new AbortController().signal, now: () => new Date() });
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
