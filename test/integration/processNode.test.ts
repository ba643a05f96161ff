import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type V1Container,
  type V1JobSpec,
  type V1Pod,
  type V1PodSpec,
} from "@kubernetes/client-node";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Images } from "../cluster/processNode/images.ts";
import { type ProcessNode, startProcessNode } from "../cluster/processNode/processNode.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";

const namespace = "process-node";
const log = pino({ level: "silent" });

/** An image that runs the container's command as it is, and one that serves HTTP on the container's port 8080. */
const images: Images = {
  "test/shell": ({ container }) => ({ command: [...container.command, ...container.args] }),
  "test/web": ({ port, container }) => ({
    command: [process.execPath, "-e", webServer],
    env: { PORT: String(port(8080)), READY: container.env.READY ?? "yes" },
  }),
};
const webServer = `
  require("node:http").createServer((request, response) => {
    response.writeHead(request.url === "/ready" && process.env.READY === "yes" ? 200 : 503).end();
  }).listen(Number(process.env.PORT), "127.0.0.1");
`;

let cluster: StartedCluster;
let node: ProcessNode;
let folder: string;
let kubectlProgram: string;
let core: CoreV1Api;
let batch: BatchV1Api;
let apps: AppsV1Api;

beforeAll(async () => {
  // Not the cluster that other files share: a node takes every pod there is.
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => {} });
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
  batch = config.makeApiClient(BatchV1Api);
  apps = config.makeApiClient(AppsV1Api);
  folder = await mkdtemp(join(tmpdir(), "process-node-"));
  node = await startProcessNode({ kubeconfig: cluster.kubeconfig, dir: folder, images, log });
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await until(() => core.readNamespacedServiceAccount({ name: "default", namespace }));
  kubectlProgram = join(cluster.programs, "kubectl");
});

afterAll(async () => {
  await node?.stop();
  await cluster?.down();
  await rm(folder, { recursive: true, force: true });
});

test("a Job's exit code reaches its podFailurePolicy, and its message the pod", async () => {
  const script = 'printf "no such backup" > "$TERMINATION_MESSAGE_PATH"; exit 3';
  await createJob("final", [shell(script)], {
    backoffLimit: 5,
    podFailurePolicy: {
      rules: [{ action: "FailJob", onExitCodes: { containerName: "main", operator: "In", values: [3] } }],
    },
  });
  await until(async () => {
    const { status } = await batch.readNamespacedJob({ name: "final", namespace });
    expect(status?.conditions?.find(({ type }) => type === "Failed")?.reason).toBe("PodFailurePolicy");
  });
  const pods = await podsOf("final");
  expect(pods).toHaveLength(1);
  expect(pods[0]?.status?.phase).toBe("Failed");
  expect(pods[0]?.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
    exitCode: 3,
    reason: "Error",
    message: "no such backup",
  });
});

test("a pod acts as its ServiceAccount, with no more rights than that has", async () => {
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "reader" } } });
  const script = `"${kubectlProgram}" auth whoami -o jsonpath={.status.userInfo.username}; "${kubectlProgram}" get secrets; exit 0`;
  await createJob("identity", [shell(script)], {}, { serviceAccountName: "reader" });
  await jobSucceeded("identity");
  const output = await kubectl("logs", "job/identity");
  expect(output).toContain(`system:serviceaccount:${namespace}:reader`);
  expect(output).toContain(`User "system:serviceaccount:${namespace}:reader" cannot list resource "secrets"`);
});

test("a Deployment becomes available when its probe succeeds, and is rolled", async () => {
  const web = (version: string): V1Container => ({
    name: "web",
    image: "test/web:1",
    env: [{ name: "VERSION", value: version }],
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 1 },
  });
  const labels = { app: "web" };
  const template = (version: string) => ({ metadata: { labels }, spec: { containers: [web(version)] } });
  const body = { metadata: { name: "web" }, spec: { selector: { matchLabels: labels }, template: template("1") } };
  await apps.createNamespacedDeployment({ namespace, body });
  const [first] = await rolledOut("web", 1);
  await apps.patchNamespacedDeployment(
    { name: "web", namespace, body: { spec: { template: template("2") } } },
    setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
  );
  const [second] = await rolledOut("web", 1, first?.metadata?.uid);
  expect(second?.spec?.containers[0]?.env?.[0]?.value).toBe("2");
  await until(() => expect(isRunning(pidOf(first))).toBe(false));
  expect(isRunning(pidOf(second))).toBe(true);
});

test("a pod whose probe fails runs but is not ready", async () => {
  const container = {
    name: "web",
    image: "test/web",
    env: [{ name: "READY", value: "no" }],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/ready", port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
  };
  await createPod("unready", { containers: [container] });
  const pod = await podIn("unready", "Running");
  expect(pod.status?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    reason: "ContainersNotReady",
    message: "containers with unready status: [web]",
  });
});

test("an evicted pod of a Job is replaced without counting as a failure", async () => {
  await createJob("evicted", [shell("exec sleep 300")], {
    backoffLimit: 0,
    podReplacementPolicy: "Failed",
    podFailurePolicy: {
      rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
    },
  });
  const first = await runningPodOf("evicted");
  await node.evict(namespace, first.metadata?.name ?? "");
  const evicted = await core.readNamespacedPod({ name: first.metadata?.name ?? "", namespace });
  expect(evicted.status).toMatchObject({ phase: "Failed", reason: "Evicted" });
  expect(evicted.status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "TerminationByKubelet",
  });
  expect(isRunning(pidOf(first))).toBe(false);
  const second = await runningPodOf("evicted", first.metadata?.uid);
  expect(second.metadata?.name).not.toBe(first.metadata?.name);
  await batch.deleteNamespacedJob({ name: "evicted", namespace, propagationPolicy: "Foreground" });
  await until(() => expect(isRunning(pidOf(second))).toBe(false));
});

test("a deleted pod gets SIGTERM and time to end", async () => {
  const farewell = join(folder, "farewell");
  const script = `trap 'sleep 0.3; echo bye > ${farewell}; exit 0' TERM; while :; do sleep 0.1; done`;
  const uid = await createPod("polite", { containers: [shell(script)] });
  const pod = await podIn("polite", "Running");
  await core.deleteNamespacedPod({ name: "polite", namespace });
  await gone("polite", uid);
  expect(await readFile(farewell, "utf8")).toBe("bye\n");
  expect(isRunning(pidOf(pod))).toBe(false);
});

test("a deleted pod that ignores SIGTERM is killed after its grace period, with all its children", async () => {
  const script = "trap '' TERM; sleep 300 & echo $!; while :; do sleep 0.1; done";
  const uid = await createPod("stubborn", { containers: [shell(script)], terminationGracePeriodSeconds: 1 });
  const pod = await podIn("stubborn", "Running");
  const child = await printedPid("stubborn");
  expect(isRunning(child)).toBe(true);
  await core.deleteNamespacedPod({ name: "stubborn", namespace });
  await gone("stubborn", uid);
  expect(isRunning(pidOf(pod))).toBe(false);
  await until(() => expect(isRunning(child)).toBe(false));
});

test("an unknown image is shown as such, and pulled once it exists", async () => {
  await createPod("unpulled", { containers: [{ ...shell("exit 0"), image: "test/later:1" }], restartPolicy: "Never" });
  const waiting = async (reason: string) => {
    const { status } = await core.readNamespacedPod({ name: "unpulled", namespace });
    expect(status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe(reason);
    expect(status?.phase).toBe("Pending");
  };
  await until(() => waiting("ErrImagePull"));
  await until(() => waiting("ImagePullBackOff"));
  images["test/later:1"] = images["test/shell"] ?? expect.unreachable();
  await podIn("unpulled", "Succeeded");
});

test("a missing ConfigMap or Secret holds the container back until it exists", async () => {
  const container = {
    ...shell('echo "$WORD $KEY"'),
    env: [
      { name: "WORD", valueFrom: { configMapKeyRef: { name: "late", key: "word" } } },
      { name: "KEY", valueFrom: { secretKeyRef: { name: "late", key: "key" } } },
    ],
  };
  await createPod("unconfigured", { containers: [container], restartPolicy: "Never" });
  const waiting = async (message: string) => {
    const { status } = await core.readNamespacedPod({ name: "unconfigured", namespace });
    expect(status?.containerStatuses?.[0]?.state?.waiting).toEqual({ reason: "CreateContainerConfigError", message });
  };
  await until(() => waiting('configmap "late" not found'));
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "late" }, data: { word: "hello" } } });
  await until(() => waiting('secret "late" not found'));
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: "late" }, stringData: { key: "s3cret" } } });
  await podIn("unconfigured", "Succeeded");
  expect(await kubectl("logs", "unconfigured")).toBe("hello s3cret\n");
});

test("init containers run first, volumes are shared, and paths lead into them", async () => {
  await core.createNamespacedConfigMap({
    namespace,
    body: { metadata: { name: "greeting" }, data: { text: "hello" } },
  });
  const volumeMounts = [
    { name: "shared", mountPath: "/shared" },
    { name: "greeting", mountPath: "/etc/greeting" },
    { name: "about", mountPath: "/etc/about" },
  ];
  const spec: V1PodSpec = {
    restartPolicy: "Never",
    volumes: [
      { name: "shared", emptyDir: {} },
      { name: "greeting", configMap: { name: "greeting", items: [{ key: "text", path: "deep/text" }] } },
      { name: "about", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
    ],
    initContainers: [{ ...shell("cat /etc/greeting/deep/text > /shared/out"), name: "first", volumeMounts }],
    containers: [
      {
        ...shell('cat /shared/out "$LABELS"; echo " $NAME $(NAME) $HOME"; pwd; printenv LEAKED || echo clean'),
        env: [
          { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "LABELS", value: "/etc/about/labels" },
        ],
        volumeMounts,
      },
    ],
  };
  vi.stubEnv("LEAKED", "leaked");
  const uid = await createPod("volumes", spec, { app: "volumes" });
  await podIn("volumes", "Succeeded");
  vi.unstubAllEnvs();
  const home = join(folder, "pods", `${namespace}_volumes_${uid}`);
  expect(await kubectl("logs", "volumes", "--container=main")).toBe(
    `helloapp="volumes" volumes volumes ${home}\n${home}\nclean\n`,
  );
});

test("a killed container shows the signal in its exit code and is restarted with back-off", async () => {
  await createPod("restarted", { containers: [shell("sleep 300 & echo $!; wait")], restartPolicy: "OnFailure" });
  const child = await printedPid("restarted");
  await node.kill(namespace, "restarted", "SIGKILL");
  const status = async () =>
    (await core.readNamespacedPod({ name: "restarted", namespace })).status?.containerStatuses?.[0];
  await until(async () => {
    const { restartCount, state, lastState } = (await status()) ?? expect.unreachable();
    expect({ restartCount, exitCode: lastState?.terminated?.exitCode }).toEqual({ restartCount: 1, exitCode: 137 });
    expect(state?.running).toBeDefined();
  });
  await until(() => expect(isRunning(child)).toBe(false));
  await node.kill(namespace, "restarted", "SIGTERM");
  await until(async () => expect((await status())?.state?.waiting?.reason).toBe("CrashLoopBackOff"));
  await until(async () => {
    const { restartCount, state, lastState } = (await status()) ?? expect.unreachable();
    expect({ restartCount, exitCode: lastState?.terminated?.exitCode }).toEqual({ restartCount: 2, exitCode: 143 });
    expect(state?.running).toBeDefined();
  });
});

test("a pod past its activeDeadlineSeconds fails with DeadlineExceeded", async () => {
  await createPod("late", { containers: [shell("exec sleep 300")], restartPolicy: "Never", activeDeadlineSeconds: 1 });
  const pod = await podIn("late", "Failed");
  expect(pod.status?.reason).toBe("DeadlineExceeded");
});

test("a pod waits for its scheduling gates and its node", async () => {
  await createPod("gated", {
    containers: [shell("exit 0")],
    restartPolicy: "Never",
    schedulingGates: [{ name: "test/wait" }],
  });
  await createPod("elsewhere", { containers: [shell("exit 0")], nodeSelector: { disk: "ssd" } });
  await until(async () => {
    const { status } = await core.readNamespacedPod({ name: "elsewhere", namespace });
    expect(status?.conditions?.find(({ type }) => type === "PodScheduled")?.reason).toBe("Unschedulable");
  });
  expect((await core.readNamespacedPod({ name: "gated", namespace })).spec?.nodeName).toBeUndefined();
  await core.patchNamespacedPod(
    { name: "gated", namespace, body: { spec: { schedulingGates: [] } } },
    setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
  );
  await podIn("gated", "Succeeded");
});

test("kubectl logs follows to the end, and shows the last lines or the run before", async () => {
  const script = "echo one; echo two; [ -e again ] && { sleep 0.3; echo three; exit 0; }; touch again; exit 1";
  await createPod("talkative", { containers: [shell(script)], restartPolicy: "OnFailure" });
  await until(async () => {
    const { status } = await core.readNamespacedPod({ name: "talkative", namespace });
    expect(status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });
  expect(await kubectl("logs", "--follow", "talkative")).toBe("one\ntwo\nthree\n");
  expect(await kubectl("logs", "--tail=1", "talkative")).toBe("three\n");
  expect(await kubectl("logs", "--previous", "talkative")).toBe("one\ntwo\n");
});

test("pods live on while the API server is away, and what happened meanwhile is told afterwards", async () => {
  const mark = join(folder, "restarted");
  await createPod("patient", {
    containers: [shell(`until [ -e ${mark} ]; do sleep 0.05; done; exit 4`)],
    restartPolicy: "Never",
  });
  const before = await podIn("patient", "Running");
  const restarted = cluster.restartApiServer();
  await writeFile(mark, "");
  await until(() => expect(isRunning(pidOf(before))).toBe(false));
  await restarted;
  const after = await podIn("patient", "Failed");
  expect(after.status?.containerStatuses?.[0]).toMatchObject({
    restartCount: 0,
    state: { terminated: { exitCode: 4 } },
  });
  await createPod("newcomer", { containers: [shell("exit 0")], restartPolicy: "Never" });
  await podIn("newcomer", "Succeeded");
});

test("a stopped node leaves no process behind, and takes its pods up again when it is started", async () => {
  const options = { kubeconfig: cluster.kubeconfig, dir: join(folder, "second"), images, log, name: "second" };
  const second = await startProcessNode(options);
  const script = "trap '' TERM; sleep 300 & wait";
  await createPod("orphan", { containers: [shell(script)], nodeSelector: { "kubernetes.io/hostname": "second" } });
  const pod = await podIn("orphan", "Running");
  await second.stop();
  expect(isRunning(pidOf(pod))).toBe(false);
  expect((await core.readNamespacedPod({ name: "orphan", namespace })).status?.phase).toBe("Running");

  const again = await startProcessNode(options);
  await until(async () => {
    const { status } = await core.readNamespacedPod({ name: "orphan", namespace });
    const [main] = status?.containerStatuses ?? [];
    expect(main?.state?.running).toBeDefined();
    expect(main?.lastState?.terminated).toMatchObject({ exitCode: 137, reason: "ContainerStatusUnknown" });
    expect(main?.restartCount).toBe(1);
  });
  await again.stop();
});

const until = <T>(attempt: () => T | Promise<T>): Promise<T> => vi.waitFor(attempt, { timeout: 30_000, interval: 50 });

const shell = (script: string): V1Container => ({ name: "main", image: "test/shell:1", command: ["sh", "-c", script] });

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(["--namespace", namespace, ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

async function createPod(
  name: string,
  spec: V1PodSpec,
  labels: Record<string, string> = {},
): Promise<string | undefined> {
  const pod = await core.createNamespacedPod({ namespace, body: { metadata: { name, labels }, spec } });
  return pod.metadata?.uid;
}

async function createJob(
  name: string,
  containers: V1Container[],
  job: Partial<V1JobSpec> = {},
  pod: Partial<V1PodSpec> = {},
) {
  const template = { spec: { restartPolicy: "Never", containers, ...pod } };
  await batch.createNamespacedJob({ namespace, body: { metadata: { name }, spec: { ...job, template } } });
}

function podIn(name: string, phase: string): Promise<V1Pod> {
  return until(async () => {
    const pod = await core.readNamespacedPod({ name, namespace });
    expect(pod.status?.phase).toBe(phase);
    return pod;
  });
}

async function podsOf(job: string): Promise<V1Pod[]> {
  return (await core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` })).items;
}

function runningPodOf(job: string, except?: string): Promise<V1Pod> {
  return until(async () => {
    const pod = (await podsOf(job)).find(
      ({ metadata, status }) => metadata?.uid !== except && status?.phase === "Running",
    );
    return pod ?? expect.unreachable(`no running pod of ${job}`);
  });
}

async function jobSucceeded(name: string): Promise<void> {
  await until(async () => expect((await batch.readNamespacedJob({ name, namespace })).status?.succeeded).toBe(1));
}

/** Waits until a Deployment is rolled out, without the pod `except`; returns its pods. */
function rolledOut(name: string, replicas: number, except?: string): Promise<V1Pod[]> {
  return until(async () => {
    const { status, metadata } = await apps.readNamespacedDeployment({ name, namespace });
    const { observedGeneration, updatedReplicas, availableReplicas } = status ?? {};
    expect({ observedGeneration, updatedReplicas, availableReplicas, all: status?.replicas }).toEqual({
      observedGeneration: metadata?.generation,
      updatedReplicas: replicas,
      availableReplicas: replicas,
      all: replicas,
    });
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: `app=${name}` });
    return items.filter((pod) => pod.metadata?.uid !== except && pod.metadata?.deletionTimestamp === undefined);
  });
}

/** Waits until the pod object, or that very one of its name, is gone. */
async function gone(name: string, uid: string | undefined): Promise<void> {
  await until(async () => {
    const { items } = await core.listNamespacedPod({ namespace, fieldSelector: `metadata.name=${name}` });
    expect(items.filter(({ metadata }) => metadata?.uid === uid)).toEqual([]);
  });
}

/** The pid that a pod's process printed into its log. */
function printedPid(name: string): Promise<number> {
  return until(async () => {
    await podIn(name, "Running");
    const pid = Number(await kubectl("logs", name));
    expect(pid).toBeGreaterThan(1);
    return pid;
  });
}

function pidOf(pod: V1Pod | undefined): number {
  const pid = Number(pod?.status?.containerStatuses?.[0]?.containerID?.replace("process://", ""));
  expect(pid).toBeGreaterThan(1);
  return pid;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
