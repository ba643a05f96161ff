import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { connect } from "../kube/client.ts";
import { systemClock } from "../kube/clock.ts";
import { createLogger } from "../log.ts";
import { VERSION } from "../version.ts";
import { runDispatcher } from "./dispatcher.ts";
import { serve } from "./server.ts";
import { loadSettings, readApprovalKey, SettingsError } from "./settings.ts";

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
 * `operation-runner dispatcher`: runs until SIGTERM or SIGINT.
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
    const settings = await loadSettings(env);
    const logger = createLogger("dispatcher", settings.logLevel);
    logger.info({ version: VERSION, settings }, "starting");
    try {
      await runDispatcher({
        client: connect(env, { component: "dispatcher", version: VERSION }),
        clock: systemClock,
        logger,
        settings,
        approvalKey: await readApprovalKey(settings),
        // A restarted container is the same candidate: its predecessor is dead, so the Lease need not run out first.
        identity: env.POD_NAME ?? `${hostname()}_${randomUUID()}`,
        serve: (parts) => serve({ listen: settings.listen, ...parts }),
        signal: stop.signal,
      });
      logger.info("stopped");
      return EXIT.done;
    } catch (error) {
      if (error instanceof SettingsError) throw error;
      logger.fatal({ err: error }, "cannot go on");
      return EXIT.failed;
    }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    return EXIT.config;
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
}
