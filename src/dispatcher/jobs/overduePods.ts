import type { ContainerStatus, Event, Pod } from "../../kube/resources.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";

// What no status says of a pod, because only time tells: that it does not start, and that it does not end. For
// docs/contract.md#silent-trouble.

/** So long each step may take before anybody has to know. */
const GRACE_MS = 30_000;

/** Told from that moment on, if it is still so. */
export interface Overdue {
  readonly from: Date;
  readonly reason: string;
  readonly message: string;
}

/** What a kubelet, or who attaches volumes, says of a pod of which no container can be started. */
const START_FAILURES: ReadonlySet<string> = new Set([
  "FailedAttachVolume",
  "FailedCreatePodSandBox",
  "FailedMapVolume",
  "FailedMount",
  "FailedPodSandBoxStatus",
  "NetworkNotReady",
]);

/**
 * A volume that cannot be mounted, a network that cannot be set up: the pod shows a container that is being created, for ever,
 * and only Events say why. One that goes away by itself is no news.
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

/** A pod that is to go, and of which its node does not say that it has gone: nothing takes its place until then. */
export function overdueEnd(pod: Pod): (Overdue & { readonly since: string }) | undefined {
  const { name, deletionTimestamp: since } = pod.metadata;
  if (since === undefined || hasEnded(pod)) return undefined;
  const node = pod.spec?.nodeName;
  const message =
    `pod ${name} should have ended by ${since}, and ${node === undefined ? "nobody" : `its node ${node}`} says that it has; ` +
    "if that node is dead, force-delete the pod or taint the node node.kubernetes.io/out-of-service";
  return { from: after(since), since, reason: "Terminating", message };
}

/** The runner is done, and another container keeps its pod from ending: the Job neither ends nor tries again. */
export function outlivingContainer(
  pod: Pod,
): { readonly name: string; readonly since: string; readonly from: Date } | undefined {
  const all = pod.status?.containerStatuses ?? [];
  const finishedAt = all.find(({ name }) => name === RUNNER_CONTAINER)?.state?.terminated?.finishedAt;
  const other = all.find(
    ({ name, state }: ContainerStatus) => name !== RUNNER_CONTAINER && state?.running !== undefined,
  );
  if (finishedAt == null || other === undefined || hasEnded(pod)) return undefined;
  return { name: other.name ?? "without a name", since: finishedAt, from: after(finishedAt) };
}

/** What to do about {@link outlivingContainer}. */
export function outlivingText(pod: Pod, container: string): string {
  return (
    `pod ${pod.metadata.name} does not end, because its container ${container} still runs: ` +
    "make that an init container with restartPolicy Always, or have it end with the runner"
  );
}

export function hasEnded({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** What is no time was long ago. */
function after(time: string): Date {
  return new Date((Date.parse(time) || 0) + GRACE_MS);
}

/** Without the ids that are others at each try. */
function steady(message: string): string {
  return message.replaceAll(/"[0-9a-f]{64}"/g, "…");
}
