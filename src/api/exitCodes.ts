/** The runner's exit codes. docs/contract.md#exit-codes; the dispatcher's podFailurePolicy names {@link EXIT.final}. */
export const EXIT = {
  /** The Operation succeeded (degraded or not), or nothing is left to do. */
  done: 0,
  /** Transient trouble, or SIGTERM before the end: the Job starts another pod. */
  again: 1,
  /** Another run would end the same way: the Job fails at once. */
  final: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
