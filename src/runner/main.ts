import "../kube/fewObjects.ts";
import { writeFileSync } from "node:fs";
import type { Logger } from "pino";
import { EXIT } from "../api/exitCodes.ts";
import { cutBytes } from "../api/message.ts";
import { attemptOf } from "../api/operation.ts";
import { connect } from "../kube/client.ts";
import { systemClock } from "../kube/clock.ts";
import { EventRecorder } from "../kube/events.ts";
import { createLogger } from "../log.ts";
import { VERSION } from "../version.ts";
import type { RunnerContext, RunnerSettings } from "./context.ts";
import { httpFetcher } from "./download/fetch.ts";
import type { Ending } from "./exit.ts";
import { endingCondition } from "./finish.ts";
import { LatestOperation } from "./latestOperation.ts";
import { run } from "./run.ts";
import { readSettings, SettingsError } from "./settings.ts";

/** SIGTERM or SIGINT came before the run was done. */
class Stopped extends Error {
  override readonly name = "Stopped";
}

/**
 * Carries out one Operation in the pod of its Job. docs/contract.md#runner.
 *
 * @param env the variables that the Job template sets (settings.ts), LOG_LEVEL, and KUBECONFIG or the in-cluster
 *   address of the API server
 * @returns the exit code: 0 done, 1 try again, 2 final
 */
export async function main(env: NodeJS.ProcessEnv): Promise<number> {
  const logger = createLogger("runner", env.LOG_LEVEL);
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => stop.abort(new Stopped(`${signal} before the end`));
  process.once("SIGTERM", onSignal);
  process.once("SIGINT", onSignal);
  try {
    const settings = readSettings(env);
    const { namespace, name } = settings.operation;
    const log = logger.child({ operation: `${namespace}/${name}`, job: settings.job.name });
    const ending = await conclude(contextOf(env, settings, log, stop.signal));
    leaveMessage(settings, ending, log);
    const { exitCode, operation } = ending;
    const { uid } = operation?.metadata ?? settings.operation;
    const facts = { uid, attempt: operation && attemptOf(operation), veleroObject: operation?.status?.engineRef?.name };
    log[exitCode === EXIT.done ? "info" : "error"]({ ...facts, exitCode }, ending.message);
    return ending.exitCode;
  } catch (error) {
    logger.fatal({ err: error }, "cannot start");
    // A Job's environment never changes, so another pod would lack the same setting.
    return error instanceof SettingsError ? EXIT.final : EXIT.again;
  } finally {
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  }
}

function contextOf(
  env: NodeJS.ProcessEnv,
  settings: RunnerSettings,
  logger: Logger,
  signal: AbortSignal,
): RunnerContext {
  const client = connect(env, { component: "runner", version: VERSION });
  const instance = env.POD_NAME ?? settings.job.name ?? "operation-runner";
  const events = new EventRecorder(client, logger, {
    component: "operation-runner",
    controller: "ops.vworkspace.io/runner",
    instance,
  });
  return {
    client,
    clock: systemClock,
    logger,
    signal,
    settings,
    latest: new LatestOperation(),
    events,
    fetcher: httpFetcher(env),
  };
}

/** Turns every unexpected error into exit code 1: the Job starts another pod, because Velero may still be at work. */
export async function conclude(context: RunnerContext): Promise<Ending> {
  try {
    return await run(context);
  } catch (error) {
    if (!(error instanceof Stopped)) context.logger.error({ err: error }, "the run ended early with an error");
    return {
      exitCode: EXIT.again,
      message: error instanceof Error ? error.message : String(error),
    };
  }
}

/** The pod's termination message: one line of JSON, for `kubectl describe pod` and for the dispatcher. */
function leaveMessage(settings: RunnerSettings, ending: Ending, logger: Logger): void {
  const { operation } = ending;
  const { namespace, name } = settings.operation;
  const ref = operation?.status?.engineRef;
  const text = JSON.stringify({
    operation: `${namespace}/${name}`,
    ...(operation && { attempt: attemptOf(operation), phase: operation.status?.phase }),
    reason: operation && endingCondition(operation)?.reason,
    message: cutBytes(ending.message),
    ...(ref && { veleroObject: `${ref.kind} ${ref.namespace}/${ref.name}` }),
  });
  try {
    writeFileSync(settings.terminationMessagePath, text);
  } catch (error) {
    logger.debug({ err: error }, "could not write the termination message; outside of a pod there is no file for it");
  }
}
