import { milliseconds } from "../../api/duration.ts";
import { isAtWork, type VeleroObject } from "../../api/velero.ts";
import type { RunnerContext } from "../context.ts";

/**
 * Whether Velero is at work on the object for longer than the admin allows. What waits in Velero's own queue has not begun,
 * and what is done is late for nothing. docs/contract.md#run-time-limit.
 *
 * @returns what is told of the limit; undefined while there is time, or no limit
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
