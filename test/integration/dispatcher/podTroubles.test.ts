import { once } from "node:events";
import { createServer } from "node:net";
import pino from "pino";
import { afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { Label } from "../../../src/api/labels.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { conditionOf, type StatusChange } from "../../../src/api/status.ts";
import { runDispatcher } from "../../../src/dispatcher/dispatcher.ts";
import { serve } from "../../../src/dispatcher/server.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { isConflict } from "../../../src/kube/errors.ts";
import { configMaps, events, type Job, jobs, type Pod, pods } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// The Job controller and the API server are real; the test writes what a kubelet, a node's controller and a runner would.

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
  await fixture.target();
});
afterEach(() => fixture.close());

const MINUTE = 60_000;

/** A dispatcher that believes it to be later than it is, by as much as the test says. */
function dispatcherInTime() {
  const end = new AbortController();
  let skippedMs = 0;
  const running = runDispatcher({
    client: fixture.client,
    clock: { ...systemClock, now: () => new Date(systemClock.now().getTime() + skippedMs) },
    logger: pino({ level: "silent" }),
    settings: settingsSchema.parse(fixture.settings),
    approvalKey: undefined,
    settingsValid: () => true,
    identity: "test",
    serve: (parts) => serve({ listen: "127.0.0.1:0", ...parts }),
    signal: end.signal,
  });
  onTestFinished(async () => {
    end.abort(new Error("done"));
    await running;
  });
  return {
    /** Has it look again once that time has passed. */
    skip: async (ms: number, name: string) => {
      skippedMs += ms;
      const metadata = { annotations: { "example.com/skipped": String(skippedMs) } };
      await fixture.client.mergePatch(operations, { namespace: fixture.tenant, name }, { metadata });
    },
  };
}

/** Bound to a node that nobody is at home on, and given up after one failure. */
async function templates(): Promise<void> {
  const target = { namespace: fixture.jobNamespace, name: "operation-jobs" };
  const { data = {} } = await fixture.client.get(configMaps, target);
  const text = (data["backup.yaml"] ?? "")
    .replace("backoffLimit: 3", "backoffLimit: 0")
    .replace("      restartPolicy: Never\n", `      restartPolicy: Never\n      nodeName: ${await deadNode()}\n`);
  await fixture.client.mergePatch(configMaps, target, { data: { "backup.yaml": text } });
}

/** It is there, so that nobody takes its pods away; but no kubelet is. */
async function deadNode(): Promise<string> {
  const name = `dead-${fixture.tenant}`;
  await cluster.apply([{ apiVersion: "v1", kind: "Node", metadata: { name } }]);
  onTestFinished(async () => {
    await cluster.kubectl(["delete", "node", name]);
  });
  return name;
}

/** The pod that the Job controller has made. */
async function podOf({ metadata: { name, uid } }: Job): Promise<Pod> {
  const selection = { namespace: fixture.jobNamespace, labelSelector: `${Label.jobUid}=${uid}` };
  return await vi.waitFor(
    async () => (await fixture.client.list(pods, selection)).items[0] ?? expect.unreachable(`no pod of ${name}`),
    { timeout: MINUTE },
  );
}

/** Writes a pod's status as its kubelet, or its node's controller, would. */
async function write({ metadata: { name } }: Pod, status: object): Promise<void> {
  for (;;) {
    const pod = await fixture.client.get(pods, { namespace: fixture.jobNamespace, name });
    try {
      await fixture.client.replaceStatus(pods, { ...pod, status: { ...pod.status, ...status } });
      return;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}

const condition = (type: string, status: string, change: object = {}) => ({
  type,
  status,
  lastTransitionTime: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
  ...change,
});
const containers = (...states: [name: string, state: object][]) =>
  states.map(([name, state]) => ({ name, image: "any", imageID: "", ready: false, restartCount: 0, state }));
const RUNNING = { running: { startedAt: "2026-01-01T00:00:00Z" } };
const READY = [condition("Ready", "True"), condition("ContainersReady", "True")];

/** Waits until the Operation says something of its runner. */
async function says(name: string, words: RegExp): Promise<Operation> {
  const found = await fixture.until(operations, { namespace: fixture.tenant, name }, (seen) =>
    words.test(conditionOf(seen?.status, "Running")?.message ?? ""),
  );
  return found ?? expect.unreachable(`no Operation ${name}`);
}

/** Waits until another Job has the name. */
async function successorOf({ metadata: { name, uid } }: Job): Promise<void> {
  const object = { namespace: fixture.jobNamespace, name };
  await fixture.until(jobs, object, (seen) => seen !== undefined && seen.metadata.uid !== uid);
}

/** An Operation whose runner is at work, and tells so. */
async function atWork(name: string): Promise<{ job: Job; pod: Pod }> {
  await templates();
  const job = await fixture.job(await fixture.operation({ name }));
  const pod = await podOf(job);
  await write(pod, { phase: "Running", conditions: READY, containerStatuses: containers(["runner", RUNNING]) });
  await fixture.report(name, AT_WORK);
  return { job, pod };
}

const AT_WORK: StatusChange = {
  phase: "Running",
  conditions: [{ type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "by its runner" }],
};
const SILENT = [condition("Ready", "False"), condition("ContainersReady", "True")];

test("pods that a node rejects cost the Operation no try", async () => {
  const dispatcher = dispatcherInTime();
  await templates();
  const job = await fixture.job(await fixture.operation({ name: "nightly" }));
  const message = "Pod was rejected: Node didn't have enough resource: cpu, requested: 50, used: 3990, capacity: 4000";
  // As a kubelet leaves it: without a condition, and without a word of its containers.
  await write(await podOf(job), { phase: "Failed", reason: "OutOfcpu", message, conditions: [] });
  const told = await says("nightly", /^Pod was rejected: .*; Job .* gave up; the dispatcher makes it again at /);
  expect(conditionOf(told.status, "Running")?.reason).toBe("OutOfcpu");
  await dispatcher.skip(5 * MINUTE, "nightly");
  await successorOf(job);
  const { status } = await fixture.client.get(operations, { namespace: fixture.tenant, name: "nightly" });
  expect(status).toMatchObject({ phase: "Pending", runner: { attempt: 1, jobName: job.metadata.name } });
});

test("a node that falls silent is told once, and its runner has the word from then on", async () => {
  const dispatcher = dispatcherInTime();
  const { pod } = await atWork("nightly");
  await write(pod, { conditions: SILENT });
  await fixture.says("nightly", "Running=False/NodeNotReady");
  await fixture.report("nightly", AT_WORK);
  for (let minutes = 0; minutes < 3; minutes += 1) await dispatcher.skip(MINUTE, "nightly");
  // What comes now is decided on after all that.
  await write(pod, { conditions: READY });
  const nightly = { namespace: fixture.tenant, name: "nightly" };
  const after = await fixture.until(operations, nightly, (seen) => seen?.status?.runner?.troubleSince === undefined);
  expect(conditionOf(after?.status, "Running")).toMatchObject({ status: "True", message: "by its runner" });
  const { items } = await fixture.client.list(events, { namespace: fixture.tenant });
  expect(items.filter(({ reason }) => reason === "NodeNotReady")).toHaveLength(1);
});

test("a pod that its dead node does not end is told, and replaced", async () => {
  const dispatcher = dispatcherInTime();
  const { job, pod } = await atWork("nightly");
  await write(pod, { conditions: SILENT });
  await fixture.says("nightly", "Running=False/NodeNotReady");
  await cluster.kubectl([
    "delete",
    "pod",
    pod.metadata.name,
    "-n",
    fixture.jobNamespace,
    "--grace-period=1",
    "--wait=false",
  ]);
  await fixture.until(pods, pod.metadata, (seen) => seen?.metadata.deletionTimestamp !== undefined);
  await dispatcher.skip(MINUTE, "nightly");
  await says(
    "nightly",
    /its node dead-.* has not confirmed that; .* force-delete the pod or taint the node .*; the dispatcher makes the Job again at/,
  );
  await dispatcher.skip(5 * MINUTE, "nightly");
  await successorOf(job);
});

test("a volume that cannot be mounted is told, and does not hold the place for ever", async () => {
  const dispatcher = dispatcherInTime();
  await templates();
  const job = await fixture.job(await fixture.operation({ name: "nightly" }));
  const { metadata } = await podOf(job);
  const { namespace = "", name, uid } = metadata;
  const lastTimestamp = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const message = 'MountVolume.SetUp failed for volume "ca" : configmap "store-ca" not found';
  await fixture.client.create(events, {
    metadata: { name: `${name}.1`, namespace },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace, name, uid },
    ...{ type: "Warning", reason: "FailedMount", message, firstTimestamp: lastTimestamp, lastTimestamp, count: 1 },
  });
  await dispatcher.skip(MINUTE, "nightly");
  await fixture.says("nightly", "Running=False/FailedMount");
  await says("nightly", /^MountVolume.SetUp failed for volume "ca"/);
  await dispatcher.skip(120 * MINUTE, "nightly");
  await fixture.says("nightly", "Failed=True/RunnerFailed");
  await fixture.until(jobs, job.metadata, (seen) => seen === undefined);
});

test("a Job whose create gets no answer is told, and made as soon as there is one", async () => {
  // Takes connections, and never says a word.
  const webhook = createServer().listen(0, "127.0.0.1");
  await once(webhook, "listening");
  const address = webhook.address();
  if (address === null || typeof address === "string") expect.unreachable("it listens on TCP");
  const name = `silent-${fixture.tenant}`;
  const remove = () => cluster.kubectl(["delete", "mutatingwebhookconfiguration", name, "--ignore-not-found"]);
  onTestFinished(async () => {
    await remove();
    webhook.close();
  });
  await cluster.apply([
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name },
      webhooks: [
        {
          name: "silent.example.com",
          clientConfig: { url: `https://127.0.0.1:${address.port}/` },
          rules: [{ apiGroups: ["batch"], apiVersions: ["v1"], resources: ["jobs"], operations: ["CREATE"] }],
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": fixture.jobNamespace } },
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          timeoutSeconds: 30,
        },
      ],
    },
  ]);
  await takenUp();
  dispatcherInTime();
  const operation = await fixture.operation({ name: "nightly" });
  await fixture.says("nightly", "Running=False/FailedCreate");
  await says("nightly", /^its Job cannot be created: the API server does not answer/);
  await remove();
  await fixture.job(operation);
  await says("nightly", /^its runner is being started$/);
});

/** An API server takes a webhook up a moment after it has been configured. */
async function takenUp(): Promise<void> {
  const trial = ["create", "job", "trial", "--image=any", "-n", fixture.jobNamespace, "--dry-run=server"];
  await expect
    .poll(async () => (await cluster.kubectl([...trial, "--request-timeout=1s"])).stderr, { timeout: MINUTE })
    .toMatch(/timeout|deadline/i);
}

test("a container that goes on after the runner is told, and goes with its Job when that one's time is over", async () => {
  const dispatcher = dispatcherInTime();
  const { job, pod } = await atWork("nightly");
  await fixture.succeed("nightly");
  const { status } = await fixture.client.get(operations, { namespace: fixture.tenant, name: "nightly" });
  const finishedAt = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const ended = { terminated: { exitCode: 0, reason: "Completed", finishedAt, startedAt: finishedAt } };
  await write(pod, { containerStatuses: containers(["runner", ended], ["istio-proxy", RUNNING]) });
  await dispatcher.skip(MINUTE, "nightly");
  expect(await fixture.announced("ContainerStillRuns")).toMatchObject({
    type: "Warning",
    message: expect.stringContaining("its container istio-proxy still runs"),
  });
  await dispatcher.skip(24 * 60 * MINUTE, "nightly");
  await fixture.until(jobs, job.metadata, (seen) => seen?.metadata.uid !== job.metadata.uid);
  expect((await fixture.client.get(operations, { namespace: fixture.tenant, name: "nightly" })).status).toEqual(status);
});
