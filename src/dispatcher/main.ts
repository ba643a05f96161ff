import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { connect, type KubeClient } from "../kube/client.ts";
import { systemClock } from "../kube/clock.ts";
import { createLogger } from "../log.ts";
import { VERSION } from "../version.ts";
import { runDispatcher } from "./dispatcher.ts";
import { changedSetup } from "./reloadSettings.ts";
import { serve } from "./server.ts";
import { loadSetup, SettingsError, type Setup } from "./settings.ts";

/** The dispatcher's exit codes, the first two of which sysexits.h has too. */
const EXIT = {
  done: 0,
  /** The Lease was lost, or nothing can be listened on: to be started again. */
  failed: 1,
  usage: 64,
  /** The settings cannot be used: starting again will not help. */
  config: 78,
} as const;

/**
 * `operation-runner dispatcher`: runs until SIGTERM or SIGINT, and takes up the settings anew whenever they change.
 *
 * @returns the exit code: 0 when asked to end, 1 to be started again, 64 wrong arguments, 78 wrong settings
 */
export async function main(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    console.error(`operation-runner dispatcher takes no arguments; it is set up by its settings: ${args.join(" ")}`);
    return EXIT.usage;
  }
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals) => stop.abort(new Error(name));
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  try {
    const client = connect(env, { component: "dispatcher", version: VERSION });
    // A restarted container is the same candidate: its predecessor is dead, so the Lease need not run out first.
    const identity = env.POD_NAME ?? `${hostname()}_${randomUUID()}`;
    for (let setup: Setup | undefined = await loadSetup(env); setup !== undefined; ) {
      const logger = createLogger("dispatcher", setup.settings.logLevel);
      logger.info({ version: VERSION, settings: setup.settings }, "starting");
      try {
        setup = await runUntilChanged(env, setup, { client, identity, logger, stop: stop.signal });
        logger.info(setup === undefined ? "stopped" : "the settings have changed: starting again with the new ones");
      } catch (error) {
        logger.fatal({ err: error }, "cannot go on");
        return EXIT.failed;
      }
    }
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    return EXIT.config;
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
}

/** What stays the same whatever the settings are. */
interface Process {
  readonly client: KubeClient;
  readonly identity: string;
  readonly logger: Logger;
  /** Ends the process. */
  readonly stop: AbortSignal;
}

/**
 * Runs the dispatcher with these settings until the process is to end or there are other settings. It ends as it does on
 * SIGTERM: what is being written is finished, the Lease is given back. docs/contract.md#dispatcher-and-runner.
 *
 * @returns the settings to go on with; undefined when the process is to end
 * @throws as {@link runDispatcher}
 */
async function runUntilChanged(
  env: NodeJS.ProcessEnv,
  setup: Setup,
  { client, identity, logger, stop }: Process,
): Promise<Setup | undefined> {
  const end = new AbortController();
  const signal = AbortSignal.any([stop, end.signal]);
  let valid = true;
  const onValidity = (now: boolean) => {
    valid = now;
  };
  const changed = changedSetup(env, setup, { clock: systemClock, logger, signal, onValidity });
  changed.then(
    () => end.abort(new Error("the settings have changed")),
    (error: unknown) => end.abort(error),
  );
  try {
    await runDispatcher({
      client,
      clock: systemClock,
      logger,
      ...setup,
      settingsValid: () => valid,
      identity,
      serve: (parts) => serve({ listen: setup.settings.listen, ...parts }),
      signal,
    });
    return stop.aborted ? undefined : await changed;
  } finally {
    end.abort();
  }
}
