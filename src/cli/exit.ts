/** How a command for people ends. The same whatever the output's format. docs/cli.md#exit-codes. */
export const Exit = {
  /** What was asked for is done; a degraded Operation has succeeded. */
  done: 0,
  error: 1,
  /** An Operation failed or was cancelled; `status`, `doctor` and `drill`: something is not as it should be. */
  unsuccessful: 2,
  /** Degraded, where `--strict` was asked for; `drill`: not all could be looked at. */
  degraded: 4,
  /** As sysexits.h has it: the arguments are wrong. */
  usage: 64,
  timeout: 124,
  interrupted: 130,
} as const;

/** Something about the arguments that no parser sees. Ends with {@link Exit.usage}. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Whether it is one. By its name: the verbs are a part of the program of their own, with a class of their own. */
export function isUsageError(error: unknown): boolean {
  return error instanceof Error && error.name === "UsageError";
}

/** Somebody pressed Ctrl-C, or ends this process. Ends with {@link Exit.interrupted}. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("interrupted");
  }
}
