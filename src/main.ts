#!/usr/bin/env node
import { parseArgs } from "node:util";
import { VERSION } from "./version.ts";

// Each command is imported when it is asked for, so that none pays for another's modules.

interface Command {
  readonly summary: string;
  /** @returns the process's exit code */
  readonly run: (args: string[]) => Promise<number> | number;
}

/** As sysexits.h has it: wrong arguments, told apart from anything a command itself ends with. */
const EX_USAGE = 64;

const commands: Record<string, Command> = {
  dispatcher: {
    summary: "watch Operations, admit them, make one Job for each",
    run: async (args) => (await import("./dispatcher/main.ts")).main(process.env, args),
  },
  run: {
    summary: "carry out one Operation, named by the environment of its Job",
    run: async () => (await import("./runner/main.ts")).main(process.env),
  },
  version: { summary: "print the version (-o json)", run: version },
  help: { summary: "print this help", run: help },
};

const [name = "help", ...args] = process.argv.slice(2);
const aliases: Record<string, string> = { "--help": "help", "-h": "help", "--version": "version" };
const command = Object.entries(commands).find(([known]) => known === (aliases[name] ?? name))?.[1];

if (command === undefined) {
  console.error(`operation-runner: unknown command "${name}"\n\n${usage()}`);
  process.exitCode = EX_USAGE;
} else {
  // Connections that are kept alive must not keep a finished process alive.
  process.exit(await command.run(args));
}

function version(rest: string[]): number {
  try {
    const { values } = parseArgs({ args: rest, options: { output: { type: "string", short: "o", default: "text" } } });
    if (values.output !== "text" && values.output !== "json") throw new Error('-o takes "text" or "json"');
    const text = `operation-runner ${VERSION}`;
    console.log(values.output === "json" ? JSON.stringify({ version: VERSION, node: process.version }) : text);
    return 0;
  } catch (error) {
    console.error(`operation-runner version: ${error instanceof Error ? error.message : error}`);
    return EX_USAGE;
  }
}

function help(): number {
  console.log(usage());
  return 0;
}

function usage(): string {
  const width = Math.max(...Object.keys(commands).map((each) => each.length));
  const lines = Object.entries(commands).map(([each, { summary }]) => `  ${each.padEnd(width)}  ${summary}`);
  return [
    "Usage: operation-runner <command>",
    "",
    ...lines,
    "",
    `Wrong arguments end with exit code ${EX_USAGE}.`,
  ].join("\n");
}
