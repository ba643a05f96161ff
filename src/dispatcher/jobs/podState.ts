import * as z from "zod";
import { oneLine } from "../../api/message.ts";
import { timestamp } from "../../api/status.ts";
import { failureOf, podHasEnded } from "../../kube/jobStatus.ts";
import type { ContainerStatus, Event, Job, Pod } from "../../kube/resources.ts";
import type { World } from "../state/world.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";
import { lingeringContainer, lingeringText, type Overdue, overdueEnd, overdueStart } from "./silentTrouble.ts";

/** What the pods of unfinished Jobs are doing. */
export type PodState =
  /** A runner is at work. `doubted`: only the runner's own writes say so, since Kubernetes has lost sight of its pod. */
  | { readonly kind: "running"; readonly doubted: boolean; readonly lookAgainAt?: Date }
  /** Nothing to report: there is no pod yet, or it is starting. */
  | { readonly kind: "starting"; readonly hasPod: boolean; readonly lookAgainAt?: Date }
  /** Kubernetes still tries, but something is wrong. `since`: when Kubernetes lost sight of a runner that was at work. */
  | {
      readonly kind: "trouble";
      readonly reason: string;
      readonly message: string;
      readonly since?: string | undefined;
      readonly lookAgainAt?: Date;
    }
  /** A queue holds the Job back, for as long as it likes. */
  | { readonly kind: "suspended"; readonly reason: string; readonly message: string; readonly lookAgainAt?: undefined };

/** The reason of {@link Trouble} if the API server refuses to create the Job or its pod: the Job controller's word for that. */
export const NO_POD = "FailedCreate";

/** A container waits for these reasons in every pod that starts. */
const STARTING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);

/** The form of a condition's reason. A pod's reason is free text and may not fit. */
const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const MAX_REASON = 128;

/** What is wrong, in the words of Kubernetes or of the runner. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
}

/** The trouble that the Operation's status reports already. */
export interface ReportedTrouble {
  /** Undefined if the status reports none, for example because a runner has written since. */
  readonly trouble: Trouble | undefined;
  /** `runner.troubleSince`. */
  readonly since: string | undefined;
}

/**
 * Whether a runner is at work and, if not, why, while Kubernetes still tries. The newest pod decides, unless an older one runs
 * well. A node that no longer reports says nothing about the runner on it: if that runner writes the status after the trouble
 * was reported there, it counts as at work.
 *
 * @param jobs the unfinished Jobs of one attempt
 */
export function podState(
  jobs: readonly Job[],
  world: Pick<World, "podsOf" | "refusalsOf" | "podEventsOf" | "now">,
  reported: ReportedTrouble,
): PodState {
  const pods = jobs.flatMap(world.podsOf);
  const running = pods.filter(isRunning);
  const atWork = running.map((pod) => interruption(pod, world.now));
  if (atWork.includes(undefined)) {
    const ends = running.map((pod) => overdueEnd(pod)?.from).find((from) => from !== undefined && from > world.now);
    return { kind: "running", doubted: false, ...(ends && { lookAgainAt: ends }) };
  }
  if (atWork.some((each) => isContradicted(each, reported))) return { kind: "running", doubted: true };
  const [newest] = pods.toSorted(newestFirst);
  const refused = refusal(jobs.filter(lacksPod).flatMap(world.refusalsOf), newest);
  const suspended = pods.some((pod) => !podHasEnded(pod)) ? undefined : suspension(jobs);
  if (refused === undefined && suspended !== undefined) return { kind: "suspended", ...asCondition(suspended) };
  const overdue = newest && overdueTrouble(newest, world);
  const isOverdue = overdue !== undefined && overdue.from <= world.now;
  const trouble = refused ?? (isOverdue ? overdue : newest && troubleOf(newest, world.now));
  const lookAgain = overdue !== undefined && !isOverdue && { lookAgainAt: overdue.from };
  if (trouble === undefined) return { kind: "starting", hasPod: newest !== undefined, ...lookAgain };
  return {
    kind: "trouble",
    since: newest && interruption(newest, world.now)?.since,
    ...asCondition(trouble),
    ...lookAgain,
  };
}

function asCondition({ reason, message }: Trouble): Trouble {
  return { reason: reasonOf(reason), message: oneLine(message) };
}

function isContradicted(interrupted: Interruption | undefined, reported: ReportedTrouble): boolean {
  const { since } = interrupted ?? {};
  return (
    since !== undefined && reported.trouble === undefined && reported.since !== undefined && reported.since >= since
  );
}

/** Trouble that only the time that has passed shows, with what the pod itself says. */
function overdueTrouble(pod: Pod, { podEventsOf }: Pick<World, "podEventsOf">): Overdue | undefined {
  const lingering = lingeringContainer(pod);
  if (lingering !== undefined) {
    const { reason, message } = endOfRunner(pod);
    return { from: lingering.from, reason, message: `${message}; ${lingeringText(pod, lingering.name)}` };
  }
  const ending = overdueEnd(pod);
  if (ending !== undefined) return { ...ending, reason: lostSight(pod)?.reason ?? ending.reason };
  return obstacle(pod) === undefined ? overdueStart(pod, podEventsOf(pod)) : undefined;
}

/**
 * Why a Job ended without a result, in one line of 1 KiB at most: first the trouble of its newest pod that has any, then what
 * the Job's own condition says.
 *
 * @param reported the trouble that the status reported last, for a Job whose pods are gone
 */
export function endOf(job: Job, { podsOf, now }: Pick<World, "podsOf" | "now">, reported: Trouble | undefined): string {
  const failure = failureOf(job);
  const outcome =
    failure === undefined
      ? "ended without a result"
      : `gave up (${failure.reason ?? "Failed"}${failure.message ? `: ${failure.message}` : ""})`;
  const cause = causeOf(job, { podsOf, now }) ?? reported;
  return oneLine(`${cause ? `${cause.reason}: ${cause.message}; ` : ""}Job ${job.metadata.name} ${outcome}`);
}

/** Why a Job failed although its runner did not, while the dispatcher waits until it may make the Job again. */
export function rejectionTrouble(job: Job, world: Pick<World, "podsOf" | "now">, at: Date): Trouble {
  const { reason, message } = causeOf(job, world) ?? { reason: "PodFailed", message: "a node rejected its pods" };
  return asCondition({
    reason,
    message: `${message}; Job ${job.metadata.name} gave up; the dispatcher makes it again at ${timestamp(at)}`,
  });
}

function causeOf(job: Job, { podsOf, now }: Pick<World, "podsOf" | "now">): Trouble | undefined {
  return podsOf(job)
    .toSorted(newestFirst)
    .map((pod) => troubleOf(pod, now))
    .find((trouble) => trouble !== undefined);
}

function troubleOf(pod: Pod, now: Date): Trouble | undefined {
  return interruption(pod, now) ?? obstacle(pod) ?? end(pod);
}

/** A runner was at work, and nobody can tell whether it still is. */
interface Interruption extends Trouble {
  readonly since: string | undefined;
}

function interruption(pod: Pod, now: Date): Interruption | undefined {
  const ending = overdueEnd(pod);
  const lost = lostSight(pod);
  if (ending === undefined || ending.from > now) return lost;
  return { ...ending, reason: lost?.reason ?? ending.reason, since: lost?.since ?? ending.since };
}

/**
 * The pod is being evicted, or its node no longer reports: the pod's containerStatuses may be out of date.
 * docs/contract.md#silent-nodes; a pod that ends too late is in silentTrouble.ts.
 */
function lostSight(pod: Pod): Interruption | undefined {
  const { name } = pod.metadata;
  const disruption = condition(pod, "DisruptionTarget");
  if (disruption?.status === "True") {
    const { reason = "Disrupted", message = `pod ${name} is being evicted`, lastTransitionTime: since } = disruption;
    return { reason, message, since };
  }
  // The kubelet sets both conditions at once. Only the control plane sets Ready alone to False: when the node stops reporting.
  const ready = condition(pod, "Ready");
  const silent = ready?.status === "False" && condition(pod, "ContainersReady")?.status === "True";
  if (!silent) return undefined;
  const message = `the node of pod ${name} has stopped reporting`;
  return { reason: "NodeNotReady", message, since: ready.lastTransitionTime };
}

/** What keeps a pod from running its containers. */
function obstacle(pod: Pod): Trouble | undefined {
  for (const { state } of containers(pod)) {
    const { reason = "", message = "" } = state?.waiting ?? {};
    if (reason !== "" && !STARTING.has(reason))
      return { reason, message: message || `pod ${pod.metadata.name} is waiting` };
  }
  const scheduled = condition(pod, "PodScheduled");
  if (scheduled?.status !== "False") return undefined;
  const message = scheduled.message ?? `no node was found for pod ${pod.metadata.name}`;
  return { reason: scheduled.reason ?? "Unschedulable", message };
}

/**
 * How a pod ended that did not end well. The reason that its node gives for the whole pod (Evicted, DeadlineExceeded) comes
 * first: that is the cause, and the exit codes of its containers only follow from it.
 */
function end(pod: Pod): Trouble | undefined {
  const { phase, reason, message = "" } = pod.status ?? {};
  if (phase === "Failed" && reason) return { reason, message: message || `pod ${pod.metadata.name} failed` };
  const failed = containers(pod)
    .map((container) => container.state?.terminated)
    .find((terminated) => terminated !== undefined && terminated.exitCode !== 0);
  if (failed !== undefined) return endOfContainer(failed);
  if (phase !== "Failed") return undefined;
  return { reason: "PodFailed", message: message || `pod ${pod.metadata.name} failed` };
}

function endOfRunner(pod: Pod): Trouble {
  const terminated = containers(pod)[0]?.state?.terminated;
  return terminated === undefined ? { reason: "Error", message: "the runner ended" } : endOfContainer(terminated);
}

function endOfContainer({ exitCode, reason = "Error", message = "" }: Terminated): Trouble {
  const said = summary(message);
  const code = `exit code ${exitCode ?? "unknown"}`;
  return { reason, message: said === "" ? code : `${said} (${code})` };
}

type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

/** The Job controller counts no active pod: the last one has ended, or there was none. */
function lacksPod({ status = {} }: Job): boolean {
  return (status.active ?? 0) === 0;
}

/**
 * A quota, a limit, a policy or a webhook makes the API server refuse the Job's pods. The Job's status does not show that: the
 * Job controller only writes Events, and goes on trying. Events from before the newest pod no longer count.
 */
function refusal(refusals: readonly Event[], newest: Pod | undefined): Trouble | undefined {
  const since = newest?.metadata.creationTimestamp ?? "";
  const [last] = refusals
    .map((event) => ({ event, at: event.lastTimestamp ?? event.metadata.creationTimestamp }))
    .filter(({ at }) => at > since)
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  return last && { reason: NO_POD, message: `the API server refuses its pod: ${refusalText(last.event)}` };
}

/** Why the pod was refused, without the name of the pod, which differs at each retry. */
function refusalText({ message = "" }: Event): string {
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

/** What the runner wrote last: its summary or, if it died without one, the last line of its log or of a crash report. */
function summary(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const last = lines.at(-1) ?? "";
  const parsed = json(last);
  const { msg, err } = logLineSchema.safeParse(parsed).data ?? {};
  if (msg !== undefined) return err === undefined ? msg : `${msg}: ${err.message}`;
  return summarySchema.safeParse(parsed).data?.message ?? lines.findLast((line) => CRASH.test(line)) ?? last;
}

/** The line with which Node or V8 reports a crash; a stack and a version follow it. */
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

/** The runner's container first: an admin's template may add others. */
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
