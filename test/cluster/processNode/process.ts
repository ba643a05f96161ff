import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/** How a process ended; `startError` is set when it never ran (no such program, no such folder). */
export interface Exit {
  /** As a container runtime counts: a signal n shows as 128 + n. */
  exitCode: number;
  startError?: string;
}

/** A process and everything it started, as one group. */
export interface RunningProcess {
  readonly pid: number | undefined;
  readonly exited: Promise<Exit>;
  /** Signals the process itself, as `kill` inside of its container would. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM to the process; SIGKILL to its whole group after `graceMs` milliseconds. Resolves when it is gone. */
  end(graceMs: number): Promise<void>;
}

/**
 * Starts a process in a group of its own, output appended to `logFile`. When the process ends, whatever it left running
 * in its group is killed, as the end of a container's first process ends the container.
 */
export function startProcess(options: {
  command: readonly string[];
  env: Record<string, string>;
  cwd: string;
  logFile: string;
}): RunningProcess {
  const [program = "", ...args] = options.command;
  const log = openSync(options.logFile, "a");
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);

  let running = true;
  let asked = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once("error", (error) => {
      if (child.pid === undefined) resolve({ exitCode: 128, startError: error.message });
    });
    child.once("exit", (code, signal) => {
      if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
      resolve({ exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) });
    });
  });
  void exited.then(() => {
    running = false;
  });

  return {
    pid: child.pid,
    exited,
    signal(signal) {
      if (running) child.kill(signal);
    },
    async end(graceMs) {
      if (!running || child.pid === undefined) return;
      // Once only: many programs take a second SIGTERM as an order to drop everything.
      if (!asked) child.kill("SIGTERM");
      asked = true;
      const waiting = new AbortController();
      await Promise.race([exited, delay(graceMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
      waiting.abort();
      if (running) signalGroup(child.pid, "SIGKILL");
      await exited;
    },
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Nothing is left of the group, which is what was wanted; macOS says EPERM when only a zombie is.
    if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
  }
}
