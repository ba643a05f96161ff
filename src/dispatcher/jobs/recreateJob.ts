import type { VeleroOperation } from "../../api/operation.ts";
import { failureOf, hasStarted, podHasEnded } from "../../kube/jobStatus.ts";
import type { Job, Pod } from "../../kube/resources.ts";
import type { World } from "../state/world.ts";
import { isMadeByDispatcher } from "./jobState.ts";
import { overdueEnd } from "./silentTrouble.ts";

// When the dispatcher makes its Job again though that still exists, for the same attempt and under the same name. A Job that is
// gone: decide.ts.
// docs/contract.md#jobs-made-again.

/** The dispatcher makes a Job again at most once in this time. */
const PAUSE_MS = 5 * 60_000;
/** Once this many Jobs of an attempt have had a runner, nodes that reject pods are not the cause. */
const MAX_JOBS = 10;

/**
 * For a Job that gave up after a kubelet had rejected some of its pods (OutOfcpu, OutOfpods, NodeAffinity). Such a pod never ran,
 * but the Job counts it as a failure. No podFailurePolicy can prevent that: the pod has neither a condition nor an exit code.
 */
export function recreateAfterRejection(operation: VeleroOperation, job: Job, world: World): Date | undefined {
  const failure = failureOf(job);
  if (!isMadeByDispatcher(job) || failure?.reason !== "BackoffLimitExceeded") return undefined;
  if ((operation.status?.runner?.jobUIDs ?? []).length >= MAX_JOBS) return undefined;
  return world.podsOf(job).some(wasRejected) ? after(failure.lastTransitionTime ?? "") : undefined;
}

/** For a Job all of whose pods should have ended, while their nodes do not confirm it: it gets no other pod until they do. */
export function recreateAfterSilence(job: Job, { podsOf, now }: Pick<World, "podsOf" | "now">): Date | undefined {
  if (!isMadeByDispatcher(job) || job.metadata.deletionTimestamp !== undefined) return undefined;
  const ends = podsOf(job)
    .filter((pod) => !podHasEnded(pod))
    .map(overdueEnd)
    .map((end) => (end !== undefined && end.from <= now ? end.since : undefined));
  const [last] = ends.toSorted().reverse();
  return last === undefined || ends.includes(undefined) ? undefined : after(last);
}

/** A pod that was evicted or preempted (DisruptionTarget) does not count: the podFailurePolicy ignores it already. */
function wasRejected(pod: Pod): boolean {
  const { phase, conditions = [] } = pod.status ?? {};
  const disrupted = conditions.some(({ type, status }) => type === "DisruptionTarget" && status === "True");
  return phase === "Failed" && !disrupted && !hasStarted(pod);
}

/** A time that is missing counts as long ago. */
function after(time: string): Date {
  return new Date((Date.parse(time) || 0) + PAUSE_MS);
}
