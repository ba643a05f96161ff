import type { ExitCode } from "../api/exitCodes.ts";
import type { Operation } from "../api/operation.ts";

/**
 * How a run ended: its exit code, and the text of its termination message. Chosen by `endRun` (finish.ts), `run` (run.ts),
 * `cleanUpAfterDeletion` (cancel/) and main.ts, for which an unexpected error is `again` and a wrong setting is `final`.
 */
export interface Ending {
  readonly exitCode: ExitCode;
  readonly message: string;
  /** The Operation as it was last read; undefined if it is gone or was never found. */
  readonly operation?: Operation;
}
