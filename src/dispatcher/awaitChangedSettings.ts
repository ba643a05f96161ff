import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Clock } from "../kube/clock.ts";
import { loadSetup, SettingsError, type Setup } from "./settings.ts";

export interface ReloadOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called when the settings in the files turn out to be usable or not. */
  readonly onValidity: (valid: boolean) => void;
}

/**
 * How often the files are read. When a mounted ConfigMap or Secret changes, the kubelet replaces a symbolic link above the file,
 * and no event of the file's own path reports that.
 */
const READ_EVERY_MS = 2_000;

/**
 * Waits until the settings or the key differ from those in force and can be used. Settings that cannot be used are logged once
 * and change nothing. main.ts then ends the dispatcher and starts it with the new ones. docs/contract.md#settings.
 *
 * @param env as for {@link loadSetup}
 * @returns the settings and key that are in force from now on
 * @throws the signal's reason once that aborts
 */
export async function changedSetup(env: NodeJS.ProcessEnv, inForce: Setup, options: ReloadOptions): Promise<Setup> {
  const { clock, logger, signal, onValidity } = options;
  let previous: Setup | string = inForce;
  let reported: Setup | string = inForce;
  for (;;) {
    await clock.sleep(READ_EVERY_MS, signal);
    const seen = await readSetup(env);
    // Somebody may be writing a file in place right now: it counts once two reads in a row agree.
    const isSettled = isDeepStrictEqual(seen, previous);
    previous = seen;
    if (!isSettled || isDeepStrictEqual(seen, reported)) continue;
    reported = seen;
    onValidity(typeof seen !== "string");
    if (typeof seen === "string")
      logger.error({ why: seen }, "the new settings cannot be used; the dispatcher keeps the old ones");
    else if (isDeepStrictEqual(seen, inForce)) logger.info("the settings can be used again and are those in force");
    else return seen;
  }
}

/** The settings and the key as the files have them now, or why they cannot be used. */
async function readSetup(env: NodeJS.ProcessEnv): Promise<Setup | string> {
  try {
    return await loadSetup(env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.message;
  }
}
