import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

/**
 * A shell that runs a command and ends its whole process group as soon as its
 * standard input closes, which the kernel does for us however we die (SIGKILL
 * included). The child's own children, compilers for instance, are in the group.
 */
const script = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ while read -r _ <&3; do :; done; kill -s KILL 0; } &
exec 3<&-
wait "$child"
`;

/**
 * Starts a command that never outlives this process. Its output arrives on
 * `stdout` and `stderr`; `exit` carries its exit code (128 + n after signal n).
 * `stdin.end()` ends it early.
 */
export function spawnEndingWithParent(
  command: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): ChildProcessWithoutNullStreams {
  const child = spawn("/bin/sh", ["-c", script, "sh", command, ...args], { ...options, detached: true });
  child.once("exit", () => child.stdin.destroy());
  return child;
}
