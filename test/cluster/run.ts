import { spawn } from "node:child_process";
import type { Result } from "./cluster.ts";

/** Runs a program to its end. Only a program that cannot be started throws. */
export function run(
  command: string,
  args: readonly string[],
  { env, input }: { env: NodeJS.ProcessEnv; input?: string | undefined },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env });
    const [stdout, stderr]: [string[], string[]] = [[], []];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => stdout.push(chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, stdout: stdout.join(""), stderr: stderr.join("") }));
    // A program that ends without reading its input is no trouble of ours: its exit code says what it thought.
    child.stdin.on("error", () => undefined).end(input ?? "");
  });
}
