import { pino } from "pino";
import type { ObjectName } from "../kube/client.ts";
import { systemClock } from "../kube/clock.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { awaitCondition } from "../kube/wait.ts";
import type { Context } from "./context.ts";

/** What was waited for did not come in time. */
export class TimedOut extends Error {
  override readonly name = "TimedOut";
}

/** The longest that a timer can wait, in milliseconds; a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Aborts with TimedOut once the time is over.
 *
 * @param timeoutMs in milliseconds; undefined for never
 * @returns the timer, to be cleared
 */
export function abortAfter(timeoutMs: number | undefined, controller: AbortController): NodeJS.Timeout | undefined {
  if (timeoutMs === undefined) return undefined;
  return setTimeout(() => controller.abort(new TimedOut()), Math.min(timeoutMs, MAX_TIMER_MS));
}

/**
 * Waits until one object meets a condition (kube/wait.ts), for as long as allowed.
 *
 * @param timeoutMs in milliseconds; undefined for ever
 * @returns the state that met the condition; undefined: there is no such object
 * @throws TimedOut; the reason of Ctrl-C
 */
export async function awaitObject<T extends KubeObject>(
  resource: Resource<T>,
  object: ObjectName,
  condition: (object: T | undefined) => boolean,
  timeoutMs: number | undefined,
  { access, interrupt }: Pick<Context, "access" | "interrupt">,
): Promise<T | undefined> {
  const late = new AbortController();
  const timer = abortAfter(timeoutMs, late);
  const signal = AbortSignal.any([interrupt, late.signal]);
  try {
    const options = { signal, logger: pino({ level: "silent" }), clock: systemClock };
    return await awaitCondition(access.client, resource, object, condition, options);
  } finally {
    clearTimeout(timer);
  }
}
