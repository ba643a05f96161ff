import { type Command, Option } from "commander";
import { type Flag, flagOf } from "./flags.ts";

/** Adds a flag for each parameter; a switch has its opposite, and what is not given stays for Velero to decide. */
export function addFlags(command: Command, flags: readonly Flag[]): Command {
  for (const flag of flags) for (const option of optionsOf(flag)) command.addOption(option);
  return command;
}

function optionsOf(flag: Flag): Option[] {
  const { kind, value = "value", summary } = flag;
  const long = flagOf(flag);
  switch (kind) {
    case "text":
      return [new Option(`${long} <${value}>`, summary)];
    case "selector":
      return [new Option(`-l, ${long} <${value}>`, summary)];
    case "list":
      return [new Option(`${long} <${value}>`, summary).argParser(listed)];
    case "switch":
      return [new Option(long, summary), new Option(`--no-${long.slice(2)}`, `do not ${summary}`)];
  }
}

/** Values with commas between them; a flag that is given again adds to them. */
export function listed(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(",").map((part) => part.trim())];
}
