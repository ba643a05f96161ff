import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { z } from "zod";

const lineSchema = z.looseObject({
  level: z.string(),
  msg: z.string().optional(),
  url: z.string().optional(),
  why: z.string().optional(),
});
export type LogLine = z.infer<typeof lineSchema>;

/** Ends the process when its standard input closes, which the kernel does however the test ends. */
const END_WITH_PARENT =
  "data:text/javascript,process.stdin.on('end',()=>process.kill(process.pid,'SIGKILL')).resume().unref()";

/** `operation-runner dispatcher`, as its own process, from the sources. */
export class DispatcherProcess {
  readonly log: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #stderr: string[] = [];
  readonly #ended: Promise<number | NodeJS.Signals>;
  readonly #waiting = new Set<() => void>();

  constructor(env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, ["--import", END_WITH_PARENT, "src/main.ts", "dispatcher"], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => this.#stderr.push(text));
    createInterface(child.stdout).on("line", (line) => {
      this.log.push(lineSchema.parse(JSON.parse(line)));
      for (const look of this.#waiting) look();
    });
    this.#child = child;
    this.#ended = once(child, "close").then(([code, signal]) => code ?? signal);
  }

  get stderr(): string {
    return this.#stderr.join("");
  }

  /** The first line that meets the condition, now or later; fails when the process ends without one. */
  async logged(condition: (line: LogLine) => boolean): Promise<LogLine> {
    const { promise, resolve } = Promise.withResolvers<LogLine | undefined>();
    const look = () => {
      const found = this.log.find(condition);
      if (found !== undefined) resolve(found);
    };
    this.#waiting.add(look);
    look();
    const found = await Promise.race([promise, this.#ended.then(() => this.log.find(condition))]);
    this.#waiting.delete(look);
    if (found === undefined) throw new Error(`the dispatcher ended: ${this.stderr}${JSON.stringify(this.log.at(-1))}`);
    return found;
  }

  /** Where it serves health and metrics. */
  async url(): Promise<string> {
    const { url } = await this.logged((line) => line.url !== undefined);
    return url ?? "";
  }

  /** @returns the exit code, or the signal that ended it */
  async ended(): Promise<number | NodeJS.Signals> {
    return await this.#ended;
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return await this.#ended;
  }
}
