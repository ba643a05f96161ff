import { readFileSync } from "node:fs";
import path from "node:path";
import { Script } from "node:vm";

/** Where the compiled code of a file of the bundle lies. */
export const codeCacheOf = (file: string): string => `${file}.cache`;

/**
 * Runs a file of the bundle with what V8 made of it when the image was built (build/codeCache.ts), so that a short-lived Job
 * does not compile it again. Where that is missing, or is another Node's, V8 compiles the file: slower, and no different.
 *
 * @param file a function of (exports, require, module, __dirname), as src/build/bundle.ts wraps it
 */
export function runFile(file: string, require: NodeJS.Require): { readonly script: Script; readonly exports: unknown } {
  const cachedData = readCache(codeCacheOf(file));
  const script = new Script(readFileSync(file, "utf8"), { filename: file, ...(cachedData && { cachedData }) });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, path.dirname(file));
  return { script, exports: module.exports };
}

function readCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
