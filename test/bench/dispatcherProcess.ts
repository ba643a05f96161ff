import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { freePort } from "../cluster/embedded/component.ts";
import { costOf, type ProcessCost } from "./processCost.ts";

const LAG = path.join(import.meta.dirname, "preloads", "eventLoopLag.cjs");
/** A machine that is busy with other things has all the time it needs. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 50;

/** How late the event loop was, in milliseconds. */
const lag = z.object({ p99: z.number(), worst: z.number() });
export type Lag = z.infer<typeof lag>;

/** The bundled dispatcher, as a process of its own. */
export interface Dispatcher {
  /** When it was started, on this process's clock. */
  readonly startedAt: number;
  /** Resolves when it says that it is ready; rejects when it ends before that. */
  ready(): Promise<void>;
  cost(): Promise<ProcessCost>;
  /** How late its event loop was since the last time that this was asked. */
  lag(): Promise<Lag>;
  stop(): Promise<void>;
}

/** Starts it; it ends with this process at the latest. */
export async function startDispatcher(program: string, env: NodeJS.ProcessEnv): Promise<Dispatcher> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["--require", LAG, program, "dispatcher"], {
    env: { PATH: process.env.PATH, ...env, OPERATION_RUNNER_LISTEN: `127.0.0.1:${port}` },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const errors: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  const ended = once(child, "exit");
  const pid = child.pid ?? 0;
  return {
    startedAt,
    async ready() {
      for (const signal = AbortSignal.timeout(PATIENCE_MS); ; await delay(LOOK_MS, undefined, { signal })) {
        if (child.exitCode !== null) throw new Error(`the dispatcher ended with ${child.exitCode}: ${errors.join("")}`);
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
        if (answer?.ok) return;
      }
    },
    cost: () => costOf(pid),
    lag: () => askLag(child),
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function askLag(child: ChildProcess): Promise<Lag> {
  const answer = once(child, "message", { signal: AbortSignal.timeout(PATIENCE_MS) });
  child.send("lag");
  return lag.parse((await answer)[0]);
}
