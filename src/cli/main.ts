import path from "node:path";
import { CommanderError } from "commander";
import { Exit, Interrupted, isUsageError } from "./exit.ts";
import { program } from "./program.ts";
import { ProcessTerminal, printable } from "./terminal.ts";

/**
 * The commands for people: parses the arguments and runs one verb.
 *
 * @param args what follows the program's name
 * @param invokedAs the path by which the program was called
 * @returns the exit code; docs/cli.md has what each means
 */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv, invokedAs: string): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new Interrupted());
  // Once: who presses it again ends the program at once.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, onSignal);
  let exit: number = Exit.done;
  const commands = program({
    name: nameOf(invokedAs),
    open: ({ openAccess }, options) => ({
      access: openAccess(options, env),
      terminal: new ProcessTerminal(options.color, env),
      interrupt: interrupt.signal,
      now: () => new Date(),
    }),
    ended: (code) => {
      exit = code;
    },
  });
  commands.exitOverride();
  for (const command of commands.commands) command.exitOverride();
  try {
    await commands.parseAsync(wordsOf(args, invokedAs), { from: "user" });
    return exit;
  } catch (error) {
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.done : Exit.usage;
    if (interrupt.signal.aborted) {
      process.stderr.write("interrupted\n");
      return Exit.interrupted;
    }
    process.stderr.write(`error: ${printable(error instanceof Error ? error.message : String(error))}\n`);
    return isUsageError(error) ? Exit.usage : Exit.error;
  }
}

/** kubectl asks for completions by a program of this name. */
function wordsOf(args: readonly string[], invokedAs: string): string[] {
  if (path.basename(invokedAs).startsWith("kubectl_complete-")) return ["__complete", "--", ...args];
  return args.length === 0 ? ["--help"] : [...args];
}

/** As people would type it: kubectl finds its plugins by the file's name. */
function nameOf(invokedAs: string): string {
  // krew's name for it, in which kubectl writes the dash as an underscore; on Windows the name has an ending.
  const name = path.parse(invokedAs).name;
  return name.startsWith("kubectl-operation") ? name.replace("-", " ").replace("_", "-") : "operation-runner";
}
