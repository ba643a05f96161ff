import type { Operation } from "../api/operation.ts";

/** The runner's exit codes. docs/contract.md#exit-codes; the Job's podFailurePolicy names {@link EXIT.final}. */
export const EXIT = {
  /** Succeeded, degraded too; or nothing is left to do. */
  done: 0,
  /** Transient trouble, or asked to stop before the end: the Job tries again. */
  again: 1,
  /** Another try would end the same way: the Job fails at once. */
  final: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** How a run ended: its exit code, and what the termination message says of it. */
export interface Ending {
  readonly exitCode: ExitCode;
  readonly message: string;
  /** The Operation as it was last read; none where it is gone or was never found. */
  readonly operation?: Operation;
}
