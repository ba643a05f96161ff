import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProcessNode } from "../../cluster/processNode/processNode.ts";
import { images, isRunning, log, namespace, ProcessNodeFixture, pidOf, shell, until } from "./processNodeFixture.ts";

let fixture: ProcessNodeFixture;

beforeAll(async () => {
  fixture = await ProcessNodeFixture.open();
});
afterAll(() => fixture?.close());

test("an evicted pod of a Job is replaced without counting as a failure", async () => {
  await fixture.createJob("evicted", [shell("exec sleep 300")], {
    backoffLimit: 0,
    podReplacementPolicy: "Failed",
    podFailurePolicy: {
      rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
    },
  });
  const first = await fixture.runningPodOf("evicted");
  await fixture.node.evict(namespace, first.metadata?.name ?? "");
  const evicted = await fixture.core.readNamespacedPod({ name: first.metadata?.name ?? "", namespace });
  expect(evicted.status).toMatchObject({ phase: "Failed", reason: "Evicted" });
  expect(evicted.status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "TerminationByKubelet",
  });
  expect(isRunning(pidOf(first))).toBe(false);
  const second = await fixture.runningPodOf("evicted", first.metadata?.uid);
  expect(second.metadata?.name).not.toBe(first.metadata?.name);
  await fixture.batch.deleteNamespacedJob({ name: "evicted", namespace, propagationPolicy: "Foreground" });
  await until(() => expect(isRunning(pidOf(second))).toBe(false));
});

test("a deleted pod gets SIGTERM and time to end", async () => {
  const farewell = join(fixture.folder, "farewell");
  const script = `trap 'sleep 0.3; echo bye > ${farewell}; exit 0' TERM; while :; do sleep 0.1; done`;
  const uid = await fixture.createPod("polite", { containers: [shell(script)] });
  const pod = await fixture.podIn("polite", "Running");
  await fixture.core.deleteNamespacedPod({ name: "polite", namespace });
  await fixture.gone("polite", uid);
  expect(await readFile(farewell, "utf8")).toBe("bye\n");
  expect(isRunning(pidOf(pod))).toBe(false);
});

test("a deleted pod that ignores SIGTERM is killed after its grace period, with all its children", async () => {
  const script = "trap '' TERM; sleep 300 & echo $!; while :; do sleep 0.1; done";
  const uid = await fixture.createPod("stubborn", { containers: [shell(script)], terminationGracePeriodSeconds: 1 });
  const pod = await fixture.podIn("stubborn", "Running");
  const child = await fixture.printedPid("stubborn");
  expect(isRunning(child)).toBe(true);
  await fixture.core.deleteNamespacedPod({ name: "stubborn", namespace });
  await fixture.gone("stubborn", uid);
  expect(isRunning(pidOf(pod))).toBe(false);
  await until(() => expect(isRunning(child)).toBe(false));
});

test("a killed container shows the signal in its exit code and is restarted with back-off", async () => {
  await fixture.createPod("restarted", {
    containers: [shell("sleep 300 & echo $!; wait")],
    restartPolicy: "OnFailure",
  });
  const child = await fixture.printedPid("restarted");
  await fixture.node.kill(namespace, "restarted", "SIGKILL");
  const status = async () =>
    (await fixture.core.readNamespacedPod({ name: "restarted", namespace })).status?.containerStatuses?.[0];
  await until(async () => {
    const { restartCount, state, lastState } = (await status()) ?? expect.unreachable();
    expect({ restartCount, exitCode: lastState?.terminated?.exitCode }).toEqual({ restartCount: 1, exitCode: 137 });
    expect(state?.running).toBeDefined();
  });
  await until(() => expect(isRunning(child)).toBe(false));
  await fixture.node.kill(namespace, "restarted", "SIGTERM");
  await until(async () => expect((await status())?.state?.waiting?.reason).toBe("CrashLoopBackOff"));
  await until(async () => {
    const { restartCount, state, lastState } = (await status()) ?? expect.unreachable();
    expect({ restartCount, exitCode: lastState?.terminated?.exitCode }).toEqual({ restartCount: 2, exitCode: 143 });
    expect(state?.running).toBeDefined();
  });
});

test("a pod past its activeDeadlineSeconds fails with DeadlineExceeded", async () => {
  await fixture.createPod("late", {
    containers: [shell("exec sleep 300")],
    restartPolicy: "Never",
    activeDeadlineSeconds: 1,
  });
  const pod = await fixture.podIn("late", "Failed");
  expect(pod.status?.reason).toBe("DeadlineExceeded");
});

test("pods live on while the API server is away, and what happened meanwhile is told afterwards", async () => {
  const mark = join(fixture.folder, "restarted");
  await fixture.createPod("patient", {
    containers: [shell(`until [ -e ${mark} ]; do sleep 0.05; done; exit 4`)],
    restartPolicy: "Never",
  });
  const before = await fixture.podIn("patient", "Running");
  const restarted = fixture.cluster.restartApiServer();
  await writeFile(mark, "");
  await until(() => expect(isRunning(pidOf(before))).toBe(false));
  await restarted;
  const after = await fixture.podIn("patient", "Failed");
  expect(after.status?.containerStatuses?.[0]).toMatchObject({
    restartCount: 0,
    state: { terminated: { exitCode: 4 } },
  });
  await fixture.createPod("newcomer", { containers: [shell("exit 0")], restartPolicy: "Never" });
  await fixture.podIn("newcomer", "Succeeded");
});

test("a stopped node leaves no process behind, and takes its pods up again when it is started", async () => {
  const options = {
    kubeconfig: fixture.cluster.kubeconfig,
    dir: join(fixture.folder, "second"),
    images,
    log,
    name: "second",
  };
  const second = await startProcessNode(options);
  const script = "trap '' TERM; sleep 300 & wait";
  await fixture.createPod("orphan", {
    containers: [shell(script)],
    nodeSelector: { "kubernetes.io/hostname": "second" },
  });
  const pod = await fixture.podIn("orphan", "Running");
  await second.stop();
  expect(isRunning(pidOf(pod))).toBe(false);
  expect((await fixture.core.readNamespacedPod({ name: "orphan", namespace })).status?.phase).toBe("Running");

  const again = await startProcessNode(options);
  await until(async () => {
    const { status } = await fixture.core.readNamespacedPod({ name: "orphan", namespace });
    const [main] = status?.containerStatuses ?? [];
    expect(main?.state?.running).toBeDefined();
    expect(main?.lastState?.terminated).toMatchObject({ exitCode: 137, reason: "ContainerStatusUnknown" });
    expect(main?.restartCount).toBe(1);
  });
  await again.stop();
});
