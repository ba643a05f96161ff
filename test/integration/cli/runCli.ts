import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Result } from "../../cluster/cluster.ts";

export interface CliOptions {
  /** The path of the caller's kubeconfig. */
  readonly kubeconfig: string;
  readonly namespace?: string;
}

/** `kubectl operation`, from the sources, as a process of its own without a terminal. */
export class Cli {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<number>;
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], { kubeconfig, namespace }: CliOptions) {
    const where = namespace === undefined ? [] : ["-n", namespace];
    this.child = spawn(process.execPath, ["src/main.ts", ...args, ...where], {
      env: { PATH: process.env.PATH, KUBECONFIG: kubeconfig, NODE_DISABLE_COMPILE_CACHE: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      for (const look of this.#waiting) look();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#ended = once(this.child, "close").then(([code, signal]) => code ?? signal);
  }

  /** Resolves once standard output has matched; fails when the process ends without that. */
  async said(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (pattern.test(this.stdout)) resolve();
    };
    this.#waiting.add(look);
    look();
    const { code } = (await Promise.race([promise, this.result()])) ?? {};
    this.#waiting.delete(look);
    if (code !== undefined && !pattern.test(this.stdout)) {
      throw new Error(`it ended with ${code} without saying ${pattern}: ${this.stdout}${this.stderr}`);
    }
  }

  async result(): Promise<Result> {
    const code = await this.#ended;
    return { code, stdout: this.stdout, stderr: this.stderr };
  }
}

/** Runs one command to its end. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<Result> {
  return await new Cli(args, options).result();
}
