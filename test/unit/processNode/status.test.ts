import type { V1ContainerState, V1Pod } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";
import {
  type ContainerRecord,
  firstRecord,
  type ObservedPod,
  podStatus,
  restartDelay,
  restarts,
} from "../../cluster/processNode/status.ts";

const start = new Date("2026-01-01T00:00:00Z");
const later = new Date("2026-01-01T00:01:00Z");
const running: V1ContainerState = { running: { startedAt: start } };
const ended = (exitCode: number): V1ContainerState => ({ terminated: { exitCode } });
const backingOff: V1ContainerState = { waiting: { reason: "CrashLoopBackOff" } };

const record = (state: V1ContainerState, rest: Partial<ContainerRecord> = {}): ContainerRecord => ({
  spec: { name: "main", image: "test/main:1" },
  state,
  restartCount: 0,
  ready: false,
  ...rest,
});

function observe(policy: string, main: ContainerRecord[], rest: Partial<ObservedPod> = {}) {
  const pod: V1Pod = { metadata: { name: "p" }, spec: { restartPolicy: policy, containers: [] } };
  return podStatus({ pod, startTime: start, init: [], main, finished: false, ...rest }, undefined, later);
}

describe("phase", () => {
  test.each([
    ["Never", [record({})], "Pending"],
    ["Never", [record(running), record({})], "Pending"],
    ["Never", [record(running), record(ended(1))], "Running"],
    ["Never", [record(ended(0)), record(ended(0))], "Succeeded"],
    ["Never", [record(ended(0)), record(ended(2))], "Failed"],
    ["OnFailure", [record(ended(2))], "Running"],
    ["OnFailure", [record(backingOff, { lastState: ended(1) })], "Running"],
    ["OnFailure", [record(ended(0))], "Succeeded"],
    ["Always", [record(ended(0))], "Running"],
    ["Always", [record(backingOff, { lastState: ended(1) })], "Running"],
  ])("%s with %j is %s", (policy, main, phase) => {
    expect(observe(policy, main).phase).toBe(phase);
  });

  test("of a pod told to end says how it ended, whatever its restartPolicy", () => {
    expect(observe("Always", [record(ended(0))], { finished: true }).phase).toBe("Succeeded");
    expect(observe("Always", [record(ended(143))], { finished: true }).phase).toBe("Failed");
  });

  test("waits for init containers, and fails with them when nothing restarts", () => {
    const init = (state: V1ContainerState) => ({ init: [record(state, { spec: { name: "init" } })] });
    expect(observe("Never", [record({})], init(running)).phase).toBe("Pending");
    expect(observe("Always", [record({})], init(ended(1))).phase).toBe("Pending");
    expect(observe("Never", [record({})], init(ended(1))).phase).toBe("Failed");
    expect(observe("Never", [record(running)], init(ended(0))).phase).toBe("Running");
    const waiting = observe("Never", [record({})], init(running));
    expect(waiting.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: "PodInitializing" } });
    expect(waiting.conditions?.find(({ type }) => type === "Initialized")?.status).toBe("False");
  });
});

test("a verdict shows only when nothing runs any more", () => {
  const verdict = {
    reason: "Evicted",
    message: "low on memory",
    condition: { type: "DisruptionTarget", reason: "TerminationByKubelet", message: "low on memory" },
  };
  const before = observe("Never", [record(running, { ready: true })], { verdict });
  expect(before.phase).toBe("Running");
  expect(before.reason).toBeUndefined();
  expect(before.conditions?.some(({ type }) => type === "DisruptionTarget")).toBe(false);

  // Its container is gone, its last word is not yet written: whoever looks now must not see a Failed pod without a reason.
  expect(observe("Never", [record(ended(143))], { verdict })).toMatchObject({ phase: "Running" });

  const after = observe("Never", [record(ended(0))], { verdict, finished: true });
  expect(after).toMatchObject({ phase: "Failed", reason: "Evicted", message: "low on memory" });
  expect(after.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "TerminationByKubelet",
  });
});

test("a container that never started is lost with its pod", () => {
  const { phase, containerStatuses } = observe("Never", [record(backingOff)], { finished: true });
  expect(phase).toBe("Failed");
  expect(containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 137, reason: "ContainerStatusUnknown" });
});

test("a condition keeps its time until its status changes", () => {
  const pod: V1Pod = { spec: { restartPolicy: "Always", containers: [] } };
  const observed = (ready: boolean) => ({
    pod,
    startTime: start,
    init: [],
    finished: false,
    main: [record(running, { ready })],
  });
  const first = podStatus(observed(false), undefined, start);
  const second = podStatus(observed(false), first, later);
  expect(second.conditions).toEqual(first.conditions);
  const third = podStatus(observed(true), second, later);
  const time = (type: string) => third.conditions?.find((each) => each.type === type)?.lastTransitionTime;
  expect(time("Ready")).toEqual(later);
  expect(time("Initialized")).toEqual(start);
});

test.each([
  ["Never", 1, false],
  ["OnFailure", 0, false],
  ["OnFailure", 1, true],
  ["Always", 0, true],
  [undefined, 0, true],
])("restartPolicy %s after exit code %i", (policy, exitCode, restarted) => {
  expect(restarts(policy, exitCode)).toBe(restarted);
});

test("restarts come at once first, then ever later, but never later than 10 s", () => {
  expect([1, 2, 3, 4, 5, 6, 20].map(restartDelay)).toEqual([0, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test("a pod of an earlier node process goes on from what its status says", () => {
  const spec = { name: "main" };
  const seen = (state: V1ContainerState) => ({
    name: "main",
    image: "",
    imageID: "",
    ready: true,
    restartCount: 2,
    state,
  });
  expect(firstRecord(spec, "Never", seen(ended(0)))).toMatchObject({ state: ended(0), restartCount: 2, ready: false });
  expect(firstRecord(spec, "Never", seen(running)).state.terminated).toMatchObject({ exitCode: 137 });
  expect(firstRecord(spec, "Always", seen(running))).toMatchObject({
    state: {},
    restartCount: 3,
    lastState: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown" } },
  });
});
