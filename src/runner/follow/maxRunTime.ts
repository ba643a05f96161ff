import { milliseconds } from "../../api/duration.ts";
import { isAtWork, type VeleroObject } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";

/**
 * Whether Velero has been at work on an object for longer than the admin allows. Time in Velero's own queue does not
 * count, and an object that is done is never too late. docs/contract.md#run-time-limit.
 *
 * @returns the message about the exceeded limit; undefined while there is time left, or if there is no limit
 */
export function exceededRunTime(
  { clock, settings: { maxRunTime } }: Pick<RunnerContext, "clock" | "settings">,
  object: VeleroObject,
): string | undefined {
  const began = Date.parse(object.status?.startTimestamp ?? "");
  if (maxRunTime === undefined || Number.isNaN(began) || !isAtWork(object)) return undefined;
  if (clock.now().getTime() < began + milliseconds(maxRunTime)) return undefined;
  return `Velero was at work for longer than limits.maxRunTime (${maxRunTime}), a setting of the platform's admin`;
}
