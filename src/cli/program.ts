import { Command, Option } from "commander";
import { VERSION } from "../version.ts";
import type { Context } from "./context.ts";
import { Exit } from "./exit.ts";
import type { ClusterChoice } from "./kubeconfig.ts";
import type { ColorChoice } from "./terminal.ts";

/** The verbs and their options, and nothing else: what carries them out is imported when it is asked for. */

/** Opens the cluster that the options name, for a verb. */
export type Open = (options: CommonOptions) => Promise<Context>;

export interface CommonOptions extends ClusterChoice {
  readonly color: ColorChoice;
}

interface ProgramOptions {
  /** How the program was called, for its usage. */
  readonly name: string;
  readonly open: Open;
  /** Told the exit code of the verb that ran. */
  readonly ended: (exit: number) => void;
}

const EXIT_CODES = `
Exit codes: 0 done, 1 error, 2 the Operation failed or was cancelled, 4 degraded (with --strict),
64 wrong arguments, 124 timeout, 130 interrupted (the Operation goes on).`;

const OBJECT_FORMATS = ["json", "yaml", "name"];

/** The program for people. It parses, and hands over. */
export function program({ name, open, ended }: ProgramOptions): Command {
  const root = new Command(name)
    .description("Ask for backups and restores, watch them, and learn why they wait or failed.")
    .version(`operation-runner ${VERSION}`, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", EXIT_CODES)
    .showHelpAfterError(`(${name} --help shows what there is)`);

  /** A verb that works on a cluster. */
  function verb(usage: string, summary: string): Command {
    return root
      .command(usage)
      .description(summary)
      .helpOption("-h, --help", "print this help")
      .option("-n, --namespace <name>", "the namespace; the context's own otherwise")
      .option("--context <name>", "the context of the kubeconfig")
      .option("--kubeconfig <file>", "the kubeconfig; $KUBECONFIG or ~/.kube/config otherwise")
      .option("--as <user>", "act as this user")
      .addOption(new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"));
  }

  /** What a verb does once its arguments are parsed. */
  function runs<A extends unknown[]>(command: Command, run: (context: Context, ...args: A) => Promise<number>): void {
    command.action(async (...given: [...A, Command]) => {
      const args = given.slice(0, -1) as unknown as A;
      ended(await run(await open(command.opts<CommonOptions>()), ...args));
    });
  }

  runs(
    verb("get [names...]", "list Operations, or show the named ones")
      .addOption(output("table", "wide", ...OBJECT_FORMATS).default("table"))
      .option("-A, --all-namespaces", "those of all namespaces")
      .option("-l, --selector <selector>", "only those with these labels")
      .option("-w, --watch", "then show every change"),
    async (context, names: string[], options) => (await import("./verbs/get.ts")).get(names, Object(options), context),
  );

  runs(
    verb("describe <name>", "tell where an Operation stands, why, who must act and what to do"),
    async (context, name: string) => (await import("./verbs/describe.ts")).describe(name, context),
  );

  runs(waits(verb("watch <name>", "show an Operation's way to its end"), "0"), async (context, name: string, options) =>
    (await import("./verbs/wait.ts")).watch(name, Object(options), context),
  );

  runs(
    waits(verb("wait <name>", "wait for the end of an Operation, and end as that was"), "1h")
      .addOption(
        new Option("--for <what>", "succeeded; or ended, which counts as done however it ended")
          .choices(["succeeded", "ended"])
          .default("succeeded"),
      )
      .addOption(output(...OBJECT_FORMATS)),
    async (context, name: string, options) => (await import("./verbs/wait.ts")).wait(name, Object(options), context),
  );

  root
    .command("version")
    .description("print the version")
    .helpOption("-h, --help", "print this help")
    .addOption(output("text", "json").default("text"))
    .action(({ output: format }: { output: string }) => {
      const version = { version: VERSION, node: process.version };
      process.stdout.write(`${format === "json" ? JSON.stringify(version) : `operation-runner ${VERSION}`}\n`);
      ended(Exit.done);
    });

  return root;
}

function output(...formats: string[]): Option {
  return new Option("-o, --output <format>", "the format").choices(formats);
}

/** The options of whoever waits. */
function waits(command: Command, timeout: string): Command {
  return command
    .option("--timeout <duration>", 'how long to wait at most, such as "90s"; "0" for ever', timeout)
    .option("--strict", `end with exit code ${Exit.degraded} where the Operation is degraded`);
}
