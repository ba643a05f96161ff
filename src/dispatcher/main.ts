import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { connect, type KubeClient } from "../kube/client.ts";
import { systemClock } from "../kube/clock.ts";
import { createLogger } from "../log.ts";
import { VERSION } from "../version.ts";
import { changedSetup } from "./awaitChangedSettings.ts";
import { runDispatcher } from "./dispatcher.ts";
import { serve } from "./server.ts";
import { loadSetup, SettingsError, type Setup } from "./settings.ts";

/** The dispatcher's exit codes; 64 and 78 mean the same in sysexits.h. */
const EXIT = {
  done: 0,
  /** The Lease was lost, or the port cannot be listened on: the kubelet should start it again. */
  failed: 1,
  usage: 64,
  /** The settings cannot be used, so starting again does not help. */
  config: 78,
} as const;

/**
 * `operation-runner dispatcher`: runs until SIGTERM or SIGINT, and starts again with the new settings whenever they
 * change.
 *
 * @returns the exit code: 0 after SIGTERM or SIGINT, 1 to be started again, 64 for wrong arguments, 78 for wrong settings
 */
export async function main(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    console.error(
      `operation-runner dispatcher takes no arguments, only settings (OPERATION_RUNNER_SETTINGS), but got: ${args.join(" ")}`,
    );
    return EXIT.usage;
  }
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals) => stop.abort(new Error(name));
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  try {
    const client = connect(env, { component: "dispatcher", version: VERSION });
    // A restarted container has the same identity as its dead predecessor, so it need not wait until the Lease runs out.
    const identity = env.POD_NAME ?? `${hostname()}_${randomUUID()}`;
    for (let setup: Setup | undefined = await loadSetup(env); setup !== undefined; ) {
      const logger = createLogger("dispatcher", setup.settings.logLevel);
      logger.info({ version: VERSION, settings: setup.settings }, "starting");
      try {
        setup = await runUntilChanged(env, setup, { client, identity, logger, stop: stop.signal });
        logger.info(
          setup === undefined ? "stopped" : "the settings have changed; the dispatcher starts again with the new ones",
        );
      } catch (error) {
        logger.fatal({ err: error }, "the dispatcher cannot go on");
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

/** What stays the same when the settings change. */
interface Process {
  readonly client: KubeClient;
  readonly identity: string;
  readonly logger: Logger;
  /** Ends the process. */
  readonly stop: AbortSignal;
}

/**
 * Runs the dispatcher with these settings until the process is asked to end or the settings change. The dispatcher then stops as
 * on SIGTERM: it finishes the writes under way and gives the Lease back.
 * docs/contract.md#dispatcher-and-runner.
 *
 * @returns the new settings; undefined if the process is asked to end
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
