import type { Argument, Command, Option } from "commander";

/** What could stand at the end of a command line. Pure: names that live in the cluster are asked for by {@link Wanted}. */

/** Which names of the cluster fit. */
export type Names =
  | "operations"
  | "operations that have not ended"
  | "operations that failed"
  | "operations that wait for approval"
  | "successful backups"
  | "targets"
  | "namespaces"
  | "contexts";

export type Wanted =
  | { readonly kind: "values"; readonly values: readonly string[] }
  | { readonly kind: "names"; readonly names: Names; readonly typed: readonly string[] };

/** Of a verb's argument or option, which names it takes. */
const ARGUMENTS: Readonly<Record<string, Names>> = {
  "get names": "operations",
  "describe name": "operations",
  "logs name": "operations",
  "watch name": "operations that have not ended",
  "wait name": "operations that have not ended",
  "cancel names": "operations that have not ended",
  "rerun name": "operations that failed",
  "approve name": "operations that wait for approval",
  "delete-backup name": "successful backups",
  "backup target": "targets",
  "restore target": "targets",
  "drill target": "targets",
};
const OPTIONS: Readonly<Record<string, Names>> = {
  "--namespace": "namespaces",
  "--from-namespace": "namespaces",
  "--context": "contexts",
  "--from": "successful backups",
};

/**
 * @param words what follows the program's name; the last is being typed, and may be empty
 */
export function wanted(root: Command, words: readonly string[]): Wanted {
  const current = words.at(-1) ?? "";
  const [verb, ...before] = words.slice(0, -1);
  if (verb === undefined) return values(root.commands.map((each) => each.name()).filter(isShown), current);
  const command = root.commands.find((each) => each.name() === verb);
  if (command === undefined) return values([], current);

  const typed: string[] = [];
  let pending: Option | undefined;
  for (const word of before) {
    if (pending !== undefined) pending = undefined;
    else if (word.startsWith("-")) pending = takesValue(command, word);
    else typed.push(word);
  }
  if (pending !== undefined) return valuesOf(pending, current, typed);
  const [name = "", given] = current.split("=", 2);
  if (given !== undefined && name.startsWith("--")) {
    const option = takesValue(command, name);
    return option === undefined ? values([], current) : values(option.argChoices ?? [], given, `${name}=`);
  }
  if (current.startsWith("-"))
    return values(
      command.options.flatMap(({ long }) => long ?? []),
      current,
    );
  const argument = argumentAt(command.registeredArguments, typed.length);
  if (argument === undefined) return values([], current);
  if (argument.argChoices !== undefined) return values(argument.argChoices, current);
  const names = ARGUMENTS[`${verb} ${argument.name()}`];
  return names === undefined ? values([], current) : { kind: "names", names, typed };
}

function isShown(name: string): boolean {
  return !name.startsWith("__");
}

function values(all: readonly string[], current: string, prefix = ""): Wanted {
  return { kind: "values", values: all.filter((each) => each.startsWith(current)).map((each) => prefix + each) };
}

function valuesOf(option: Option, current: string, typed: readonly string[]): Wanted {
  if (option.argChoices !== undefined) return values(option.argChoices, current);
  const names = OPTIONS[option.long ?? ""];
  return names === undefined ? values([], current) : { kind: "names", names, typed };
}

/** The option that the next word belongs to. */
function takesValue(command: Command, word: string): Option | undefined {
  const option = command.options.find(({ long, short }) => long === word || short === word);
  return option?.required === true ? option : undefined;
}

function argumentAt(all: readonly Argument[], at: number): Argument | undefined {
  const last = all.at(-1);
  return all[at] ?? (last?.variadic === true ? last : undefined);
}

export const SHELLS = ["bash", "zsh", "fish", "kubectl"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that has a shell ask this program. It goes by `__complete`, as kubectl's own plugins do. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return `# source <(operation-runner completion bash)
_operation_runner() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in :*) ;; *) COMPREPLY+=("$line") ;; esac
  done < <(operation-runner __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _operation_runner operation-runner`;
    case "zsh":
      return `#compdef operation-runner
# source <(operation-runner completion zsh)
_operation_runner() {
  local -a choices
  choices=(\${(f)"$(operation-runner __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  choices=(\${choices:#:*})
  compadd -a choices
}
compdef _operation_runner operation-runner`;
    case "fish":
      return `# operation-runner completion fish | source
complete -c operation-runner -f -a '(operation-runner __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null | string match -v ":*")'`;
    case "kubectl":
      return `#!/bin/sh
# For "kubectl operation": save as kubectl_complete-operation, executable, on the PATH.
exec kubectl-operation __complete "$@"`;
  }
}
