import * as z from "zod";
import { oneLine } from "../../api/message.ts";
import { timestamp } from "../../api/status.ts";
import { failureOf } from "../../kube/jobStatus.ts";
import type { ContainerStatus, Event, Job, Pod } from "../../kube/resources.ts";
import type { World } from "../state/world.ts";
import { RUNNER_CONTAINER } from "../templates/buildJob.ts";
import { hasEnded, type Overdue, outlivingContainer, outlivingText, overdueEnd, overdueStart } from "./overduePods.ts";

/** What the pods of unfinished Jobs are up to. */
export type PodState =
  /** A runner is at work. `doubted`: it says so itself, while Kubernetes has lost sight of its pod. */
  | { readonly kind: "running"; readonly doubted: boolean; readonly lookAgainAt?: Date }
  /** Nothing to tell: no pod yet, or one that is being brought up. */
  | { readonly kind: "starting"; readonly hasPod: boolean; readonly lookAgainAt?: Date }
  /** Kubernetes still tries, but not without trouble. `since`: when Kubernetes lost sight of a runner that was at work. */
  | {
      readonly kind: "trouble";
      readonly reason: string;
      readonly message: string;
      readonly since?: string | undefined;
      readonly lookAgainAt?: Date;
    }
  /** A queue holds the Job back, for as long as it likes. */
  | { readonly kind: "suspended"; readonly reason: string; readonly message: string; readonly lookAgainAt?: undefined };

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

/** What the Operation's status says of its runner. */
export interface ReportedTrouble {
  /** Trouble with the Job or its pods; none where the runner itself has the word. */
  readonly trouble: Trouble | undefined;
  /** Since when there has been such trouble, as far as it was told. */
  readonly since: string | undefined;
}

/**
 * Why the runner is not at work, while Kubernetes still tries: the newest pod tells, unless an older one runs well. A node
 * that has fallen silent says nothing of the runner on it: once that was told, a runner that contradicts it is believed.
 *
 * @param jobs unfinished ones of one attempt
 */
export function podState(
  jobs: readonly Job[],
  world: Pick<World, "podsOf" | "refusalsOf" | "podEventsOf" | "now">,
  told: ReportedTrouble,
): PodState {
  const pods = jobs.flatMap(world.podsOf);
  const running = pods.filter(isRunning);
  const atWork = running.map((pod) => interruption(pod, world.now));
  if (atWork.includes(undefined)) {
    const ends = running.map((pod) => overdueEnd(pod)?.from).find((from) => from !== undefined && from > world.now);
    return { kind: "running", doubted: false, ...(ends && { lookAgainAt: ends }) };
  }
  if (atWork.some((one) => isContradicted(one, told))) return { kind: "running", doubted: true };
  const [newest] = pods.toSorted(newestFirst);
  const refused = refusal(jobs.filter(lacksPod).flatMap(world.refusalsOf), newest);
  const suspended = pods.some(isAlive) ? undefined : suspension(jobs);
  if (refused === undefined && suspended !== undefined) return { kind: "suspended", ...inShort(suspended) };
  const late = newest && overdue(newest, world);
  const isLate = late !== undefined && late.from <= world.now;
  const trouble = refused ?? (isLate ? late : newest && troubleOf(newest, world.now));
  const lookAgain = late !== undefined && !isLate && { lookAgainAt: late.from };
  if (trouble === undefined) return { kind: "starting", hasPod: newest !== undefined, ...lookAgain };
  return {
    kind: "trouble",
    since: newest && interruption(newest, world.now)?.since,
    ...inShort(trouble),
    ...lookAgain,
  };
}

function inShort({ reason, message }: Trouble): Trouble {
  return { reason: reasonOf(reason), message: oneLine(message) };
}

function isContradicted(interrupted: Interruption | undefined, told: ReportedTrouble): boolean {
  const { since } = interrupted ?? {};
  return since !== undefined && told.trouble === undefined && told.since !== undefined && told.since >= since;
}

/** What only time tells of a pod, with what it says itself. */
function overdue(pod: Pod, { podEventsOf }: Pick<World, "podEventsOf">): Overdue | undefined {
  const outliving = outlivingContainer(pod);
  if (outliving !== undefined) {
    const { reason, message } = endOfRunner(pod);
    return { from: outliving.from, reason, message: `${message}; ${outlivingText(pod, outliving.name)}` };
  }
  const ending = overdueEnd(pod);
  if (ending !== undefined) return { ...ending, reason: lostSight(pod)?.reason ?? ending.reason };
  return obstacle(pod) === undefined ? overdueStart(pod, podEventsOf(pod)) : undefined;
}

/**
 * Why a Job ended without a result, in one line of 1 KiB at most: what its newest pod that has something to say left
 * behind, then what the Job says itself.
 *
 * @param told the trouble that was told last, for a Job whose pods are gone
 */
export function endOf(job: Job, { podsOf, now }: Pick<World, "podsOf" | "now">, told: Trouble | undefined): string {
  const failure = failureOf(job);
  const outcome =
    failure === undefined
      ? "ended without a result"
      : `gave up (${failure.reason ?? "Failed"}${failure.message ? `: ${failure.message}` : ""})`;
  const cause = causeOf(job, { podsOf, now }) ?? told;
  return oneLine(`${cause ? `${cause.reason}: ${cause.message}; ` : ""}Job ${job.metadata.name} ${outcome}`);
}

/** Why a Job came to nothing through no fault of its runner's, while it waits to be made again. */
export function rejectionTrouble(job: Job, world: Pick<World, "podsOf" | "now">, at: Date): Trouble {
  const { reason, message } = causeOf(job, world) ?? { reason: "PodFailed", message: "its pods were rejected" };
  return inShort({
    reason,
    message: `${message}; Job ${job.metadata.name} gave up and is made again at ${timestamp(at)}`,
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

/** A runner that was at work may not be any more. */
interface Interruption extends Trouble {
  readonly since: string | undefined;
}

function interruption(pod: Pod, now: Date): Interruption | undefined {
  const ending = overdueEnd(pod);
  const lost = lostSight(pod);
  if (ending === undefined || ending.from > now) return lost;
  return { ...ending, reason: lost?.reason ?? ending.reason, since: lost?.since ?? ending.since };
}

/** The pod is to go, or its node has fallen silent: what it says of its containers is no longer to be relied on. */
function lostSight(pod: Pod): Interruption | undefined {
  const { name } = pod.metadata;
  const disruption = condition(pod, "DisruptionTarget");
  if (disruption?.status === "True") {
    const { reason = "Disrupted", message = `pod ${name} is being evicted`, lastTransitionTime: since } = disruption;
    return { reason, message, since };
  }
  // The kubelet sets both at once; the control plane takes Ready alone away, when it no longer hears from the node.
  const ready = condition(pod, "Ready");
  const silent = ready?.status === "False" && condition(pod, "ContainersReady")?.status === "True";
  if (!silent) return undefined;
  const message = `the node of pod ${name} does not answer`;
  return { reason: "NodeNotReady", message, since: ready.lastTransitionTime };
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
  if (failed !== undefined) return endOfContainer(failed);
  if (phase !== "Failed") return undefined;
  return { reason: "PodFailed", message: message || `pod ${pod.metadata.name} failed` };
}

function endOfRunner(pod: Pod): Trouble {
  const terminated = containers(pod)[0]?.state?.terminated;
  return terminated === undefined ? { reason: "Error", message: "ended" } : endOfContainer(terminated);
}

function endOfContainer({ exitCode, reason = "Error", message = "" }: Terminated): Trouble {
  const said = summary(message);
  const code = `exit code ${exitCode ?? "unknown"}`;
  return { reason, message: said === "" ? code : `${said} (${code})` };
}

type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

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

/** It may still do something. */
function isAlive(pod: Pod): boolean {
  return !hasEnded(pod);
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
