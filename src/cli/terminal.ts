import { styleText } from "node:util";

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Where a command prints to and whom it may ask. */
export interface Terminal {
  /** Results, on standard output. */
  out(text: string): void;
  /** Errors and warnings, on standard error. */
  err(text: string): void;
  style(style: Style, text: string): string;
  /** Rewrites the one line of progress on standard error, which is only there on a terminal; nothing clears it. */
  progress(line: string): void;
  /** Width of that line in columns; undefined where standard error is no terminal. */
  columns(): number | undefined;
  /** Asks on standard error; undefined where nobody can answer. */
  ask(question: string, signal: AbortSignal): Promise<string | undefined>;
}

export type ColorChoice = "auto" | "always" | "never";

/** Whether to colour: as asked for, else on a terminal, unless NO_COLOR is set and not empty (no-color.org). */
export function isColored(choice: ColorChoice, env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (choice !== "auto") return choice === "always";
  return isTerminal && !env.NO_COLOR && env.TERM !== "dumb";
}

/** This process's own terminal. */
export class ProcessTerminal implements Terminal {
  readonly #colored: boolean;
  #shown = false;

  constructor(choice: ColorChoice, env: NodeJS.ProcessEnv) {
    this.#colored = isColored(choice, env, process.stdout.isTTY === true);
    // Who reads has enough, as `| head` does: ends like any program that writes on.
    process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 141 : 1));
  }

  out(text: string): void {
    this.progress("");
    process.stdout.write(`${text}\n`);
  }

  err(text: string): void {
    this.progress("");
    process.stderr.write(`${text}\n`);
  }

  style(style: Style, text: string): string {
    return this.#colored ? styleText(style, text, { validateStream: false }) : text;
  }

  progress(line: string): void {
    if (process.stderr.isTTY !== true || (line === "" && !this.#shown)) return;
    process.stderr.write(`\r\u001b[2K${line}`);
    this.#shown = line !== "";
  }

  columns(): number | undefined {
    return process.stderr.isTTY === true ? process.stderr.columns || 80 : undefined;
  }

  async ask(question: string, signal: AbortSignal): Promise<string | undefined> {
    if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
    const { createInterface } = await import("node:readline/promises");
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    // The end of the input is no answer either.
    const ended = new Promise<undefined>((resolve) => lines.once("close", () => resolve(undefined)));
    lines.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
    try {
      return await Promise.race([lines.question(question, { signal }), ended]);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      lines.close();
    }
  }
}

/** A text of somebody else's for a terminal: nothing in it can move the cursor, change colours or break a line. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
