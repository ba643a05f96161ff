import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 50;
/** For a machine that is busy with other things; a program that fails says so long before. */
export const startTimeoutMs = 180_000;
const shownLogLines = 20;

export interface ComponentOptions {
  /** Names the component in errors and its log file. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Folder for `<name>.log`, to which a restarted component appends. */
  readonly logs: string;
  /** Resolves to true once the component does its work; an error means not yet. */
  ready(): Promise<boolean>;
}

/** A running program of the control plane. */
export interface Component {
  readonly pid: number;
  /** Sends a signal; SIGSTOP and SIGCONT make it hang and go on. */
  signal(signal: NodeJS.Signals): void;
}

/**
 * Starts a program and waits until it is ready. Throws, with the end of its
 * log, when it exits before that or is not ready within three minutes.
 */
export async function startComponent(options: ComponentOptions): Promise<Component> {
  const { name, command, args, env = process.env } = options;
  const logFile = path.join(options.logs, `${name}.log`);
  const log = openSync(logFile, "a");
  const child = spawn(command, args, { env, stdio: ["ignore", log, log] });
  closeSync(log);
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
  });
  await untilReady(options, () => ended, logFile);
  return { pid: pidOf(child), signal: (signal) => void child.kill(signal) };
}

async function untilReady(options: ComponentOptions, ended: () => string | undefined, logFile: string): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  for (;;) {
    if (await options.ready().catch(() => false)) return;
    const reason = ended();
    if (reason !== undefined || performance.now() > deadline) {
      const log = (await readFile(logFile, "utf8")).trimEnd().split("\n").slice(-shownLogLines).join("\n");
      throw new Error(`${options.name} did not start: ${reason ?? "not ready after 3 min"}\n${log}`);
    }
    await sleep(pollMs);
  }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} has no process`);
  return child.pid;
}

/** A loopback port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject(address)));
    });
  });
}
