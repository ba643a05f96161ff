import { Argument, Command, Option } from "commander";
import { VERSION } from "../version.ts";
import type { openAccess } from "./access.ts";
import { completionScript, SHELLS, type Shell } from "./completion.ts";
import type { Context } from "./context.ts";
import { Exit } from "./exit.ts";
import { addFlags, listed } from "./flagOptions.ts";
import { backupFlags, restoreFlags } from "./flags.ts";
import type { ClusterChoice } from "./kubeconfig.ts";
import type { ColorChoice } from "./terminal.ts";

/** The verbs and their options, and nothing else: what carries them out is imported when it is asked for. */

const everyday = () => import("./everydayVerbs.ts");
const further = () => import("./furtherVerbs.ts");

/** A part of the program that carries verbs out. */
export interface VerbsPart {
  readonly openAccess: typeof openAccess;
}

/** Opens the cluster that the options name, for a verb of a part. */
export type Open = (part: VerbsPart, options: CommonOptions) => Context;

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

const examples = (name: string) => `
A backup, what it waits for, and back again:
  ${name} status
  ${name} backup shop monday --wait
  ${name} describe monday
  ${name} restore shop --from monday --preview
`;

const EXIT_CODES = `
Exit codes: 0 done, 1 error, 2 the Operation failed or was cancelled, 4 degraded (with --strict),
64 wrong arguments, 124 timeout, 130 interrupted (the Operation goes on).`;

const OBJECT_FORMATS = ["json", "yaml", "name"];

/** The program for people. It parses, and hands over. */
export function program({ name, open, ended }: ProgramOptions): Command {
  const root = new Command(name)
    .enablePositionalOptions()
    .description("Ask for backups and restores, watch them, and learn why they wait or failed.")
    .version(`operation-runner ${VERSION}`, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", examples(name) + EXIT_CODES)
    .showHelpAfterError(`(${name} --help shows what there is)`);

  const verbs = verbsOf(root, open, ended);
  addLooking(verbs);
  addRequests(verbs);
  addSchedule(verbs);
  addChanges(verbs);
  addPlatform(verbs);
  addOwn(root, verbs, open, ended);
  return root;
}

interface Verbs {
  readonly verb: (usage: string, summary: string) => Command;
  /** Says what a verb does on a cluster once its arguments are parsed. */
  readonly runs: <P extends VerbsPart, A extends unknown[]>(
    command: Command,
    load: () => Promise<P>,
    run: (part: P, context: Context, ...args: A) => Promise<number>,
  ) => void;
}

function verbsOf(root: Command, open: Open, ended: ProgramOptions["ended"]): Verbs {
  return {
    verb: (usage, summary) => {
      const command = root.command(usage).description(summary).helpOption("-h, --help", "print this help");
      return command.showHelpAfterError(`(${root.name()} ${command.name()} --help shows what there is)`);
    },
    runs: <P extends VerbsPart, A extends unknown[]>(
      command: Command,
      load: () => Promise<P>,
      run: (part: P, context: Context, ...args: A) => Promise<number>,
    ) => {
      command
        .optionsGroup("Cluster:")
        .option("-n, --namespace <name>", "the namespace; the context's own otherwise")
        .option("--context <name>", "the context of the kubeconfig")
        .option("--kubeconfig <file>", "the kubeconfig; $KUBECONFIG or ~/.kube/config otherwise")
        .option("--as <user>", "act as this user")
        .addOption(new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"));
      command.action(async (...given: [...A, Command]) => {
        const args = given.slice(0, -1) as unknown as A;
        const part = await load();
        ended(await run(part, open(part, command.opts<CommonOptions>()), ...args));
      });
    },
  };
}

/** What only reads. */
function addLooking({ verb, runs }: Verbs): void {
  runs(
    verb("get [names...]", "list Operations, or show the named ones")
      .addOption(output("table", "wide", ...OBJECT_FORMATS).default("table"))
      .option("-A, --all-namespaces", "those of all namespaces")
      .option("-l, --selector <selector>", "only those with these labels")
      .option("-w, --watch", "then show every change"),
    everyday,
    async ({ get }, context, names: string[], options) => get(names, Object(options), context),
  );

  runs(
    verb("describe <name>", "tell where an Operation stands, why, who must act and what to do"),
    everyday,
    async ({ describe }, context, name: string) => describe(name, context),
  );

  runs(
    waits(verb("watch <name>", "show an Operation's way to its end"), "0"),
    everyday,
    async ({ watch }, context, name: string, options) => watch(name, Object(options), context),
  );

  runs(
    waits(verb("wait <name>", "wait for the end of an Operation, and end as that was"), "1h")
      .addOption(
        new Option("--for <what>", "succeeded; or ended, which counts as done however it ended")
          .choices(["succeeded", "ended"])
          .default("succeeded"),
      )
      .addOption(output(...OBJECT_FORMATS)),
    everyday,
    async ({ wait }, context, name: string, options) => wait(name, Object(options), context),
  );

  runs(
    verb("logs <name>", "show the runner's log; where it may not be read, what the Operation and its Events say")
      .option("-f, --follow", "go on until the runner has ended")
      .option("--velero", "Velero's own log of the backup or restore"),
    further,
    async ({ logs }, context, name: string, options) => logs(name, Object(options), context),
  );
}

/** What asks for something new. */
function addRequests({ verb, runs }: Verbs): void {
  runs(
    mutates(
      waitsAfter(
        addFlags(
          verb("backup <target> [name]", "ask for a backup of the namespace in which the target is"),
          backupFlags,
        )
          .option("--approval-required", "somebody has to approve it first")
          .option("--follow-existing", "where an Operation of that name asks for the same already, follow that one"),
      ),
    ),
    further,
    async ({ backup }, context, target: string, name: string | undefined, options) =>
      backup(target, name, Object(options), context),
  );

  runs(
    mutates(
      waitsAfter(
        addFlags(
          verb("restore <target> [name]", "ask for a restore into the namespace, from a backup of it or of another one")
            .requiredOption(
              "--from <backup>",
              'the Operation or Backup to restore: "daily", or exactly "operation/daily", "backup/daily"',
            )
            .addOption(
              new Option(
                "--from-namespace <name>",
                "the namespace that was backed up, where it is another one",
              ).argParser(listed),
            ),
          restoreFlags,
        )
          .option("--approval-required", "somebody has to approve it first")
          .option(
            "--preview",
            "make nothing: tell what the backup holds, what is there already, and what would hold it back",
          )
          .option("--yes", "do not ask before what is there is changed"),
      ),
    ),
    further,
    async ({ restore }, context, target: string, name: string | undefined, options) =>
      restore(target, name, Object(options), context),
  );
}

/** What asks again and again. */
function addSchedule({ verb, runs }: Verbs): void {
  runs(
    mutates(
      addFlags(
        verb("schedule <target> [name]", "have a CronJob ask for a backup again and again")
          .requiredOption("--cron <fields>", 'when: minute, hour, day, month, day of the week, such as "0 2 * * *"')
          .option("--time-zone <name>", 'of the times, such as "Europe/Berlin"; that of the control plane otherwise')
          .option("--suspend", "do not begin yet")
          .option("--image <image>", "the image of the pods that ask; that of this version otherwise"),
        backupFlags,
      ),
    ),
    further,
    async ({ schedule }, context, target: string, name: string | undefined, options) =>
      schedule(target, name, Object(options), context),
  );
}

/** What changes something that exists. */
function addChanges({ verb, runs }: Verbs): void {
  runs(
    mutates(verb("cancel <names...>", "have Operations end before Velero is done with them")),
    everyday,
    async ({ cancel }, context, names: string[], options) => cancel(names, Object(options), context),
  );

  runs(
    mutates(waitsAfter(verb("rerun <name>", "have an Operation that failed or was cancelled run again"))),
    everyday,
    async ({ rerun }, context, name: string, options) => rerun(name, Object(options), context),
  );

  runs(
    mutates(
      verb("approve <name>", "approve an Operation that waits for it, by a signed token")
        .requiredOption("--key-file <file>", "the key that the dispatcher verifies approvals with")
        .option("--valid-for <duration>", "for how long the approval holds", "1h")
        .option("--by <who>", "who approves; the name of who is logged in otherwise"),
    ),
    further,
    async ({ approve }, context, name: string, options) => approve(name, Object(options), context),
  );

  runs(
    mutates(
      verb("delete-backup <name>", "have Velero delete the backup of a finished Operation, and its files")
        .option("--yes", "do not ask")
        .option("--wait", "then wait until it is gone")
        .option("--timeout <duration>", 'how long to wait at most, such as "90s"; "0" for ever', "10m"),
    ),
    further,
    async ({ deleteBackup }, context, name: string, options) => deleteBackup(name, Object(options), context),
  );
}

/** What looks at more than one Operation. */
function addPlatform({ verb, runs }: Verbs): void {
  runs(
    verb("status", "tell of every target whether it is backed up, and since when it is not")
      .addOption(output("table", "json", "yaml", "html").default("table"))
      .option("-A, --all-namespaces", "those of all namespaces")
      .option("--max-age <duration>", 'mark what has no backup younger than that, such as "24h"; exit code 2 then'),
    everyday,
    async ({ status }, context, options) => status(Object(options), context),
  );

  runs(
    verb(
      "drill <target>",
      "restore the newest good backup of a target into a namespace of its own, compare, and remove it",
    )
      .option("--from <operation>", "the Operation whose backup to try; the newest good one of the target otherwise")
      .option("--timeout <duration>", 'how long each step may take at most, such as "90s"; "0" for ever', "30m")
      .option("--run", "let the restored workloads run, closed off, and wait until they are ready")
      .option("--probe <file>", "then run this Pod there, which must succeed")
      .option("--no-record", "do not write the result on the Operation")
      .addOption(output("json", "yaml")),
    further,
    async ({ drill }, context, target: string, options) => drill(target, Object(options), context),
  );

  runs(
    verb("doctor", "tell whether everything is all right with the platform, and what to do where it is not")
      .option("--pre", "before it is installed: only what has to be there first")
      .option("--system-namespace <name>", "where the dispatcher runs; vworkspace-system otherwise")
      .addOption(output("short", "json", "yaml").default("short")),
    further,
    async ({ doctor }, context, options) => doctor(Object(options), context),
  );
}

/** What is about the program itself. */
function addOwn(root: Command, { verb }: Verbs, open: Open, ended: ProgramOptions["ended"]): void {
  verb("completion", "print the script that has a shell complete commands and names")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action((shell: Shell) => {
      process.stdout.write(`${completionScript(shell)}\n`);
      ended(Exit.done);
    });

  root
    .command("__complete [words...]", { hidden: true })
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => {
      const part = await everyday();
      ended(await part.complete(root, words, async () => open(part, clusterOf(words))));
    });

  verb("version", "print the version")
    .addOption(output("text", "json").default("text"))
    .action(({ output: format }: { output: string }) => {
      const version = { version: VERSION, node: process.version };
      process.stdout.write(`${format === "json" ? JSON.stringify(version) : `operation-runner ${VERSION}`}\n`);
      ended(Exit.done);
    });
}

/** The cluster that a command line names which is still being typed. */
function clusterOf(words: readonly string[]): CommonOptions {
  const after = (...names: string[]) => {
    const at = words.findIndex((word) => names.includes(word));
    const inOne = words.find((word) => names.some((each) => word.startsWith(`${each}=`)));
    return at >= 0 && at < words.length - 2 ? words[at + 1] : inOne?.slice(inOne.indexOf("=") + 1);
  };
  return {
    namespace: after("-n", "--namespace"),
    context: after("--context"),
    kubeconfig: after("--kubeconfig"),
    as: after("--as"),
    color: "never",
  };
}

function output(...formats: string[]): Option {
  return new Option("-o, --output <format>", "the format").choices(formats);
}

/** The options of what changes something. */
function mutates(command: Command): Command {
  return command
    .addOption(
      new Option("--dry-run <where>", "send nothing (client), or have the server check it and store nothing (server)")
        .choices(["none", "client", "server"])
        .default("none"),
    )
    .addOption(output(...OBJECT_FORMATS));
}

/** The options of what can be waited for. */
function waitsAfter(command: Command): Command {
  return waits(command.option("--wait", "then wait for its end, and end as that was"), "1h");
}

/** The options of whoever waits. */
function waits(command: Command, timeout: string): Command {
  return command
    .option("--timeout <duration>", 'how long to wait at most, such as "90s"; "0" for ever', timeout)
    .option("--strict", `end with exit code ${Exit.degraded} where the Operation is degraded`);
}
