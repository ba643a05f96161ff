import type {
  V1Container,
  V1ContainerState,
  V1ContainerStatus,
  V1Pod,
  V1PodCondition,
  V1PodStatus,
} from "@kubernetes/client-node";

/** What the node knows of one container. */
export interface ContainerRecord {
  readonly spec: V1Container;
  state: V1ContainerState;
  lastState?: V1ContainerState;
  restartCount: number;
  ready: boolean;
  containerID?: string;
}

/** Why a pod was ended by its node rather than by its own containers. */
export interface Verdict {
  reason: string;
  message: string;
  condition?: Pick<V1PodCondition, "type" | "reason" | "message">;
}

/** All that a pod's status is made of. */
export interface ObservedPod {
  pod: V1Pod;
  startTime: Date;
  init: readonly ContainerRecord[];
  main: readonly ContainerRecord[];
  /** True once the pod was told to end and none of its processes is left. */
  finished: boolean;
  /** Shown only with `finished`: a pod is not Failed while it may still do something. */
  verdict?: Verdict | undefined;
}

type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

/** Whether a container runs again after it ended so. */
export function restarts(policy: string | undefined, exitCode: number): boolean {
  return policy === "Never" ? false : policy === "OnFailure" ? exitCode !== 0 : true;
}

/** Milliseconds before a container's nth restart: the first at once, then doubling, capped far below a kubelet's 5 minutes. */
export function restartDelay(restart: number): number {
  return restart <= 1 ? 0 : Math.min(1000 * 2 ** (restart - 2), 10_000);
}

/**
 * Where a container starts from when the node first sees its pod. A pod that an earlier node process had started comes
 * with a status: what had ended stays ended; what was running is lost, and counts as killed without a trace.
 */
export function firstRecord(spec: V1Container, policy: string | undefined, seen?: V1ContainerStatus): ContainerRecord {
  const fresh: ContainerRecord = { spec, state: {}, restartCount: 0, ready: false };
  const known = { ...fresh, restartCount: seen?.restartCount ?? 0 };
  if (seen?.state?.terminated !== undefined) return { ...known, state: seen.state };
  if (seen?.state?.running === undefined) return known;
  const state = lost(seen.state.running.startedAt);
  return restarts(policy, 137)
    ? { ...known, restartCount: known.restartCount + 1, lastState: state }
    : { ...known, state };
}

/** The status a kubelet would report; `previous` keeps the times at which conditions changed. */
export function podStatus(observed: ObservedPod, previous: V1PodStatus | undefined, now: Date): V1PodStatus {
  const { pod, startTime, verdict, finished } = observed;
  const initialized = observed.init.every((record) => record.state.terminated?.exitCode === 0);
  const waitingReason = observed.init.length > 0 && !initialized ? "PodInitializing" : "ContainerCreating";
  const settle = (record: ContainerRecord): ContainerRecord =>
    finished && initialized && record.state.terminated === undefined ? { ...record, state: lost() } : record;
  const main = observed.main.map(settle);
  const own = phaseOf(pod, observed.init, main, finished);
  const phase = verdict === undefined ? own : judgedPhase(own, finished);
  const unready = main.filter((record) => !record.ready).map((record) => record.spec.name);
  const ready: Omit<V1PodCondition, "type"> =
    phase === "Succeeded"
      ? { status: "False", reason: "PodCompleted" }
      : phase === "Failed"
        ? { status: "False", reason: "PodFailed" }
        : unready.length === 0
          ? { status: "True" }
          : {
              status: "False",
              reason: "ContainersNotReady",
              message: `containers with unready status: [${unready.join(" ")}]`,
            };
  const pending = observed.init.filter((record) => record.state.terminated?.exitCode !== 0);
  const conditions: V1PodCondition[] = [
    { type: "PodScheduled", status: "True" },
    initialized
      ? { type: "Initialized", status: "True" }
      : {
          type: "Initialized",
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${pending.map((record) => record.spec.name).join(" ")}]`,
        },
    { type: "ContainersReady", ...ready },
    { type: "Ready", ...ready },
  ];
  if (finished && verdict?.condition !== undefined) conditions.push({ ...verdict.condition, status: "True" });
  return {
    phase,
    ...(finished && verdict !== undefined ? { reason: verdict.reason, message: verdict.message } : {}),
    conditions: conditions.map((condition) => timed(condition, previous, now)),
    hostIP: "127.0.0.1",
    hostIPs: [{ ip: "127.0.0.1" }],
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    startTime,
    ...(observed.init.length > 0
      ? { initContainerStatuses: observed.init.map((record) => containerStatus(record, "PodInitializing")) }
      : {}),
    containerStatuses: main.map((record) => containerStatus(record, waitingReason)),
  };
}

/** Its containers end one by one; only when none is left may the pod be seen as ended, and then with the reason. */
function judgedPhase(own: Phase, finished: boolean): Phase {
  if (finished) return "Failed";
  return own === "Pending" ? "Pending" : "Running";
}

function phaseOf(
  pod: V1Pod,
  init: readonly ContainerRecord[],
  main: readonly ContainerRecord[],
  finished: boolean,
): Phase {
  const policy = pod.spec?.restartPolicy;
  const initFailed = init.some(({ state }) => state.terminated !== undefined && state.terminated.exitCode !== 0);
  if (initFailed && (policy === "Never" || finished)) return "Failed";
  if (init.some(({ state }) => state.terminated?.exitCode !== 0)) return finished ? "Failed" : "Pending";
  const ends = main.map(({ state, lastState }) => state.terminated ?? (state.waiting && lastState?.terminated));
  const running = main.some(({ state }) => state.running !== undefined);
  if (main.some(({ state }, i) => state.running === undefined && ends[i] === undefined)) return "Pending";
  if (running) return "Running";
  const succeeded = ends.every((end) => end?.exitCode === 0);
  if (finished) return succeeded ? "Succeeded" : "Failed";
  if (policy === "Always" || policy === undefined) return "Running";
  if (succeeded) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function containerStatus(record: ContainerRecord, waitingReason: string): V1ContainerStatus {
  const { spec, state, lastState, restartCount, ready, containerID } = record;
  const nothingYet = state.waiting === undefined && state.running === undefined && state.terminated === undefined;
  return {
    name: spec.name,
    image: spec.image ?? "",
    imageID: containerID === undefined ? "" : (spec.image ?? ""),
    ...(containerID === undefined ? {} : { containerID }),
    state: nothingYet ? { waiting: { reason: waitingReason } } : state,
    ...(lastState === undefined ? {} : { lastState }),
    restartCount,
    ready,
    started: state.running !== undefined,
  };
}

/** What a kubelet reports of a container that it cannot find any more. */
function lost(startedAt?: Date): V1ContainerState {
  return {
    terminated: {
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The container could not be located when the pod was terminated",
      ...(startedAt === undefined ? {} : { startedAt }),
    },
  };
}

function timed(condition: V1PodCondition, previous: V1PodStatus | undefined, now: Date): V1PodCondition {
  const before = previous?.conditions?.find(({ type }) => type === condition.type);
  const kept = before?.status === condition.status ? before.lastTransitionTime : undefined;
  return { ...condition, lastTransitionTime: kept ?? now };
}
