import type { Status } from "./operation.ts";

/** How many earlier attempts a status lists one by one. */
const MAX_HISTORY = 20;
/**
 * How many Jobs of still earlier attempts a status keeps by uid. They are for Jobs that people made; the dispatcher's
 * are known by name.
 */
const MAX_OMITTED_JOBS = 100;

/**
 * Bounds the history of a status: it keeps the last attempts in full, and of those before them only their number and
 * their Jobs. docs/contract.md#status-fields.
 */
export function shortHistory(
  { history = [], historyOmitted }: Pick<Status, "history" | "historyOmitted">,
  keep: number = MAX_HISTORY,
): Pick<Status, "history" | "historyOmitted"> {
  const omitted = history.slice(0, Math.max(0, history.length - keep));
  if (omitted.length === 0) return { history, ...(historyOmitted && { historyOmitted }) };
  const jobUIDs = [...(historyOmitted?.jobUIDs ?? []), ...omitted.flatMap((attempt) => attempt.jobUIDs ?? [])];
  return {
    history: history.slice(omitted.length),
    historyOmitted: {
      attempts: (historyOmitted?.attempts ?? 0) + omitted.length,
      ...(jobUIDs.length > 0 && { jobUIDs: jobUIDs.slice(-MAX_OMITTED_JOBS) }),
    },
  };
}
