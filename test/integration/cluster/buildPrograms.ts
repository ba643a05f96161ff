/** Asks for the programs named as arguments, progress on standard error, their paths as JSON on standard output. */
import { printProgress } from "../../cluster/progress.ts";
import { isProgramName } from "../../cluster/toolchain/programs.ts";
import { ensurePrograms } from "../../cluster/toolchain/toolchain.ts";

const names = process.argv.slice(2).filter(isProgramName);
console.log(JSON.stringify(await ensurePrograms(names, { env: process.env, progress: printProgress(process.stderr) })));
