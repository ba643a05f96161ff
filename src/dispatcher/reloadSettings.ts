import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Clock } from "../kube/clock.ts";
import { loadSetup, SettingsError, type Setup } from "./settings.ts";

export interface ReloadOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Told whenever it is known whether what is written down now can be used. */
  readonly onValidity: (valid: boolean) => void;
}

/**
 * How often the files are read. When a mounted ConfigMap or Secret changes, the kubelet turns a symbolic link elsewhere, of
 * which no event on the file's own path tells.
 */
const LOOK_MS = 2_000;

/**
 * Waits until the settings or the key are others than those in force and can be used. What cannot be used is told, once, and
 * changes nothing. docs/contract.md#settings.
 *
 * @param env as for {@link loadSetup}
 * @returns what is to be in force from now on
 * @throws the signal's reason once that aborts
 */
export async function changedSetup(env: NodeJS.ProcessEnv, inForce: Setup, options: ReloadOptions): Promise<Setup> {
  const { clock, logger, signal, onValidity } = options;
  let last: Setup | string = inForce;
  let known: Setup | string = inForce;
  for (;;) {
    await clock.sleep(LOOK_MS, signal);
    const seen = await look(env);
    // A file that is written in place is seen half written: only what two looks agree on counts.
    const settled = isDeepStrictEqual(seen, last);
    last = seen;
    if (!settled || isDeepStrictEqual(seen, known)) continue;
    known = seen;
    onValidity(typeof seen !== "string");
    if (typeof seen === "string")
      logger.error({ why: seen }, "the settings cannot be used as they are now; the old ones stay");
    else if (isDeepStrictEqual(seen, inForce)) logger.info("the settings can be used again, and are the old ones");
    else return seen;
  }
}

/** What is written down now, or why it cannot be used. */
async function look(env: NodeJS.ProcessEnv): Promise<Setup | string> {
  try {
    return await loadSetup(env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.message;
  }
}
