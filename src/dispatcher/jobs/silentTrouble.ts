import { podHasEnded } from "../../kube/jobStatus.ts";
import type { ContainerStatus, Event, Pod } from "../../kube/resources.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";

// What no status says of a pod, because only the time that has passed shows it: the pod does not start, or does not end. For
// docs/contract.md#silent-trouble.

/** How long each step may take before it is reported. */
const GRACE_MS = 30_000;

/** Reported from this moment on, if it still holds then. */
export interface Overdue {
  readonly from: Date;
  readonly reason: string;
  readonly message: string;
}

/** The reasons of the Events in which the kubelet or the volume controller says that no container of a pod can start. */
const START_FAILURES: ReadonlySet<string> = new Set([
  "FailedAttachVolume",
  "FailedCreatePodSandBox",
  "FailedMapVolume",
  "FailedMount",
  "FailedPodSandBoxStatus",
  "NetworkNotReady",
]);

/**
 * A volume that cannot be mounted, or a network that cannot be set up. The pod shows ContainerCreating for ever, and only Events
 * say why. What passes by itself within the first 30 s is not reported.
 */
export function overdueStart(pod: Pod, events: readonly Event[]): Overdue | undefined {
  const { phase = "Pending", startTime, conditions = [] } = pod.status ?? {};
  const isReady = conditions.some(({ type, status }) => type === "PodReadyToStartContainers" && status === "True");
  if (phase !== "Pending" || isReady || pod.metadata.deletionTimestamp !== undefined) return undefined;
  const [last] = events
    .filter(({ reason = "" }) => START_FAILURES.has(reason))
    .map((event) => ({ ...event, at: event.lastTimestamp ?? event.metadata.creationTimestamp }))
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  if (last === undefined) return undefined;
  const from = after(startTime ?? pod.metadata.creationTimestamp);
  return { from, reason: last.reason ?? "FailedMount", message: steady(last.message ?? "") };
}

/** A deleted pod whose end its node does not confirm. The Job controller starts no other pod until then. */
export function overdueEnd(pod: Pod): (Overdue & { readonly since: string }) | undefined {
  const { name, deletionTimestamp: since } = pod.metadata;
  if (since === undefined || podHasEnded(pod)) return undefined;
  const node = pod.spec?.nodeName;
  const unconfirmed = node === undefined ? "still exists" : `its node ${node} has not confirmed that`;
  const message =
    `pod ${name} should have ended by ${since}, but ${unconfirmed}; ` +
    "if the node is dead, force-delete the pod or taint the node with node.kubernetes.io/out-of-service";
  return { from: after(since), since, reason: "Terminating", message };
}

/** The container that keeps a pod from ending after its runner has ended. The Job meanwhile neither ends nor retries. */
export function lingeringContainer(
  pod: Pod,
): { readonly name: string; readonly since: string; readonly from: Date } | undefined {
  const all = pod.status?.containerStatuses ?? [];
  const finishedAt = all.find(({ name }) => name === RUNNER_CONTAINER)?.state?.terminated?.finishedAt;
  const other = all.find(
    ({ name, state }: ContainerStatus) => name !== RUNNER_CONTAINER && state?.running !== undefined,
  );
  if (finishedAt == null || other === undefined || podHasEnded(pod)) return undefined;
  return { name: other.name ?? "without a name", since: finishedAt, from: after(finishedAt) };
}

/** Says which container that is, and what to do about it. */
export function lingeringText(pod: Pod, container: string): string {
  return (
    `pod ${pod.metadata.name} does not end, because its container ${container} still runs after the runner has ended: ` +
    "make that container an init container with restartPolicy Always, or let it end when the runner ends"
  );
}

/** A time that cannot be read counts as long ago. */
function after(time: string): Date {
  return new Date((Date.parse(time) || 0) + GRACE_MS);
}

/** The message without sandbox ids, which differ at each retry. */
function steady(message: string): string {
  return message.replaceAll(/"[0-9a-f]{64}"/g, "…");
}
