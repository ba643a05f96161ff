import type { VeleroOperation } from "../../api/operation.ts";
import { failureOf, hasStarted } from "../../kube/jobStatus.ts";
import type { Job, Pod } from "../../kube/resources.ts";
import type { World } from "../state/world.ts";
import { isMadeByDispatcher } from "./jobState.ts";
import { hasEnded, overdueEnd } from "./overduePods.ts";

// When a Job of the dispatcher's is to be made again, for the same attempt and under the same name.
// docs/contract.md#jobs-made-again.

/** No more than one Job in that time. */
const PAUSE_MS = 5 * 60_000;
/** After so many Jobs whose runners came to nothing it was not the nodes. */
const MAX_JOBS = 10;

/**
 * A Job that gave up, some of whose pods never ran: a kubelet has rejected them (OutOfcpu, OutOfpods, NodeAffinity). The Job
 * counts them, and no podFailurePolicy can tell it not to: such a pod has no condition and no exit code.
 */
export function recreateAfterRejection(operation: VeleroOperation, job: Job, world: World): Date | undefined {
  const failure = failureOf(job);
  if (!isMadeByDispatcher(job) || failure?.reason !== "BackoffLimitExceeded") return undefined;
  if ((operation.status?.runner?.jobUIDs ?? []).length >= MAX_JOBS) return undefined;
  return world.podsOf(job).some(wasRejected) ? after(failure.lastTransitionTime ?? "") : undefined;
}

/** A Job whose every pod was to end, on a node that does not say that it has: no other pod comes before. */
export function recreateAfterSilence(job: Job, { podsOf, now }: Pick<World, "podsOf" | "now">): Date | undefined {
  if (!isMadeByDispatcher(job) || job.metadata.deletionTimestamp !== undefined) return undefined;
  const ends = podsOf(job)
    .filter((pod) => !hasEnded(pod))
    .map(overdueEnd)
    .map((end) => (end !== undefined && end.from <= now ? end.since : undefined));
  const [last] = ends.toSorted().reverse();
  return last === undefined || ends.includes(undefined) ? undefined : after(last);
}

/** One that went to make room, or with its node, costs no try anyway. */
function wasRejected(pod: Pod): boolean {
  const { phase, conditions = [] } = pod.status ?? {};
  const disrupted = conditions.some(({ type, status }) => type === "DisruptionTarget" && status === "True");
  return phase === "Failed" && !disrupted && !hasStarted(pod);
}

/** A time that is missing is long ago. */
function after(time: string): Date {
  return new Date((Date.parse(time) || 0) + PAUSE_MS);
}
