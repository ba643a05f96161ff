import path from "node:path";
import { createInterface } from "node:readline";
import { spawnEndingWithParent } from "../cluster/toolchain/endWithParent.ts";

const keptLines = 20;

/** A running program of ours. */
export interface Program {
  /** Ends it; throws, with the end of its log, when it had ended by itself. */
  stop(): Promise<void>;
}

/** Starts a program that logs to its standard error and runs until it is stopped, or until we are gone. */
export function startProgram(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Program {
  const child = spawnEndingWithParent(file, args, { cwd: "/", env });
  const log: string[] = [];
  child.stdout.resume();
  createInterface({ input: child.stderr }).on("line", (line) => {
    log.push(line);
    if (log.length > keptLines) log.shift();
  });
  let early: string | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      early = error.message;
      resolve();
    });
    child.once("close", (code, signal) => {
      early = `exit code ${code ?? signal}`;
      resolve();
    });
  });
  return {
    async stop() {
      if (early !== undefined) throw new Error(`${path.basename(file)} ended: ${early}\n${log.join("\n")}`);
      child.stdin.end();
      await ended;
    },
  };
}
