import * as z from "zod";
import type { ContainerStatus, Event, Job, Pod } from "../kube/resources.ts";
import { RUNNER_CONTAINER } from "./job.ts";
import { failureOf } from "./jobState.ts";
import { oneLine } from "./message.ts";
import type { World } from "./world.ts";

/** What the pods of unfinished Jobs are up to. */
export type PodState =
  /** A runner is at work. */
  | { readonly kind: "running" }
  /** Nothing to tell: no pod yet, or one that is being brought up. */
  | { readonly kind: "starting"; readonly hasPod: boolean }
  /** Kubernetes still tries, but not without trouble. */
  | { readonly kind: "trouble"; readonly reason: string; readonly message: string };

/** The reason of {@link Trouble} with a pod that is not let in: the Job controller's own word. */
export const NO_POD = "FailedCreate";

/** Every pod passes through these. */
const STARTING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);

/** What a condition takes as its reason; what a pod says is free text. */
const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const MAX_REASON = 128;

/** Something is wrong, in the words of Kubernetes or of the runner. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
}

/**
 * Why the runner is not at work, while Kubernetes still tries: the newest pod tells, unless an older one runs well.
 *
 * @param jobs unfinished ones of one attempt
 */
export function podState(jobs: readonly Job[], { podsOf, refusalsOf }: Pick<World, "podsOf" | "refusalsOf">): PodState {
  const pods = jobs.flatMap(podsOf);
  if (pods.some((pod) => isRunning(pod) && interruption(pod) === undefined)) return { kind: "running" };
  const [newest] = pods.toSorted(newestFirst);
  const refused = refusal(jobs.filter(lacksPod).flatMap(refusalsOf), newest);
  const trouble = refused ?? (newest === undefined ? suspension(jobs) : troubleOf(newest));
  if (trouble === undefined) return { kind: "starting", hasPod: newest !== undefined };
  return { kind: "trouble", reason: reasonOf(trouble.reason), message: oneLine(trouble.message) };
}

/**
 * Why a Job ended without a result, in one line of 1 KiB at most: what its newest pod that has something to say left
 * behind, then what the Job says itself.
 *
 * @param told the trouble that was told last, for a Job whose pods are gone
 */
export function endOf(job: Job, pods: readonly Pod[], told: Trouble | undefined): string {
  const failure = failureOf(job);
  const verdict =
    failure === undefined
      ? "ended without a result"
      : `gave up (${failure.reason ?? "Failed"}${failure.message ? `: ${failure.message}` : ""})`;
  const [cause = told] = pods
    .toSorted(newestFirst)
    .map(troubleOf)
    .filter((trouble) => trouble !== undefined);
  return oneLine(`${cause ? `${cause.reason}: ${cause.message}; ` : ""}Job ${job.metadata.name} ${verdict}`);
}

function troubleOf(pod: Pod): Trouble | undefined {
  return interruption(pod) ?? obstacle(pod) ?? end(pod);
}

/** The pod is to go, or its node has fallen silent: what it says of its containers is no longer to be relied on. */
function interruption(pod: Pod): Trouble | undefined {
  const { name } = pod.metadata;
  const disruption = condition(pod, "DisruptionTarget");
  if (disruption?.status === "True") {
    return { reason: disruption.reason ?? "Disrupted", message: disruption.message ?? `pod ${name} is being evicted` };
  }
  // The kubelet sets both at once; the control plane takes Ready alone away, when it no longer hears from the node.
  const silent = condition(pod, "Ready")?.status === "False" && condition(pod, "ContainersReady")?.status === "True";
  if (silent) return { reason: "NodeNotReady", message: `the node of pod ${name} does not answer` };
  return undefined;
}

/** What keeps a pod from running its containers. */
function obstacle(pod: Pod): Trouble | undefined {
  for (const { state } of containers(pod)) {
    const { reason = "", message = "" } = state?.waiting ?? {};
    if (reason !== "" && !STARTING.has(reason)) return { reason, message: message || `pod ${pod.metadata.name} waits` };
  }
  const scheduled = condition(pod, "PodScheduled");
  if (scheduled?.status !== "False") return undefined;
  const message = scheduled.message ?? `pod ${pod.metadata.name} has no node`;
  return { reason: scheduled.reason ?? "Unschedulable", message };
}

/**
 * How a pod ended that did not end well. What its node says of the pod as a whole (Evicted, DeadlineExceeded) is why; how
 * its containers ended is only what came of it.
 */
function end(pod: Pod): Trouble | undefined {
  const { phase, reason, message = "" } = pod.status ?? {};
  if (phase === "Failed" && reason) return { reason, message: message || `pod ${pod.metadata.name} failed` };
  const failed = containers(pod)
    .map((container) => container.state?.terminated)
    .find((terminated) => terminated !== undefined && terminated.exitCode !== 0);
  if (failed !== undefined) {
    const said = summary(failed.message ?? "");
    const code = `exit code ${failed.exitCode ?? "unknown"}`;
    return { reason: failed.reason ?? "Error", message: said === "" ? code : `${said} (${code})` };
  }
  if (phase !== "Failed") return undefined;
  return { reason: "PodFailed", message: message || `pod ${pod.metadata.name} failed` };
}

/** The Job controller counts no pod: the one before has ended, or there was none. */
function lacksPod({ status = {} }: Job): boolean {
  return (status.active ?? 0) === 0;
}

/**
 * A quota, a limit, a policy or a webhook keeps pods out. The Job itself does not tell: its controller writes Events, and
 * goes on trying. What they told before the newest pod was made is over.
 */
function refusal(refusals: readonly Event[], newest: Pod | undefined): Trouble | undefined {
  const since = newest?.metadata.creationTimestamp ?? "";
  const [last] = refusals
    .map((event) => ({ event, at: event.lastTimestamp ?? event.metadata.creationTimestamp }))
    .filter(({ at }) => at > since)
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  return last && { reason: NO_POD, message: `Kubernetes does not let its pod in: ${wordsOf(last.event)}` };
}

/** The words of who refused, without the name of the pod, which is another one at each try. */
function wordsOf({ message = "" }: Event): string {
  return message
    .replace(/^\(combined from similar events\): /, "")
    .replace(/^Error creating: /, "")
    .replace(/^pods "[^"]*" is forbidden: /, "");
}

/** A queue such as Kueue holds a Job back by suspending it. */
function suspension(jobs: readonly Job[]): Trouble | undefined {
  const suspended = jobs
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type, status }) => type === "Suspended" && status === "True");
  return suspended && { reason: suspended.reason ?? "Suspended", message: suspended.message ?? "the Job is suspended" };
}

const summarySchema = z.looseObject({ message: z.string() });
const logLineSchema = z.looseObject({ msg: z.string(), err: z.looseObject({ message: z.string() }).optional() });

/** The runner's own words: its summary or, if it died without one, the end of its log; or a crash report. */
function summary(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const last = lines.at(-1) ?? "";
  const parsed = json(last);
  const { msg, err } = logLineSchema.safeParse(parsed).data ?? {};
  if (msg !== undefined) return err === undefined ? msg : `${msg}: ${err.message}`;
  return summarySchema.safeParse(parsed).data?.message ?? lines.findLast((line) => CRASH.test(line)) ?? last;
}

/** As Node and V8 begin to tell of their end; a stack and a version follow. */
const CRASH = /^(\w*Error\b|FATAL ERROR)/;

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRunning(pod: Pod): boolean {
  const runner = pod.status?.containerStatuses?.find(({ name }) => name === RUNNER_CONTAINER);
  return runner?.state?.running !== undefined;
}

/** The runner's container first: the others are an admin's additions. */
function containers({ status = {} }: Pod): readonly ContainerStatus[] {
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  const runner = containerStatuses.filter(({ name }) => name === RUNNER_CONTAINER);
  return [...runner, ...initContainerStatuses, ...containerStatuses.filter(({ name }) => name !== RUNNER_CONTAINER)];
}

function condition(pod: Pod, type: string) {
  return pod.status?.conditions?.find((one) => one.type === type);
}

function reasonOf(text: string): string {
  return text.length <= MAX_REASON && REASON.test(text) ? text : "PodFailed";
}

function newestFirst({ metadata: a }: Pod, { metadata: b }: Pod): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? 1 : -1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? 1 : -1;
}
