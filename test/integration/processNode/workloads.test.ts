import { PatchStrategy, setHeaderOptions, type V1Container } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRunning, namespace, ProcessNodeFixture, pidOf, shell, until } from "./processNodeFixture.ts";

let fixture: ProcessNodeFixture;

beforeAll(async () => {
  fixture = await ProcessNodeFixture.open();
});
afterAll(() => fixture?.close());

test("a Job's exit code reaches its podFailurePolicy, and its message the pod", async () => {
  const script = 'printf "no such backup" > "$TERMINATION_MESSAGE_PATH"; exit 3';
  await fixture.createJob("final", [shell(script)], {
    backoffLimit: 5,
    podFailurePolicy: {
      rules: [{ action: "FailJob", onExitCodes: { containerName: "main", operator: "In", values: [3] } }],
    },
  });
  await until(async () => {
    const { status } = await fixture.batch.readNamespacedJob({ name: "final", namespace });
    expect(status?.conditions?.find(({ type }) => type === "Failed")?.reason).toBe("PodFailurePolicy");
  });
  const pods = await fixture.podsOf("final");
  expect(pods).toHaveLength(1);
  expect(pods[0]?.status?.phase).toBe("Failed");
  expect(pods[0]?.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
    exitCode: 3,
    reason: "Error",
    message: "no such backup",
  });
});

test("a pod acts as its ServiceAccount, with no more rights than that has", async () => {
  await fixture.core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "reader" } } });
  const script = `"${fixture.kubectlProgram}" auth whoami -o jsonpath={.status.userInfo.username}; "${fixture.kubectlProgram}" get secrets; exit 0`;
  await fixture.createJob("identity", [shell(script)], {}, { serviceAccountName: "reader" });
  await fixture.jobSucceeded("identity");
  const output = await fixture.kubectl("logs", "job/identity");
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
  await fixture.apps.createNamespacedDeployment({ namespace, body });
  const [first] = await fixture.rolledOut("web", 1);
  await fixture.apps.patchNamespacedDeployment(
    { name: "web", namespace, body: { spec: { template: template("2") } } },
    setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
  );
  const [second] = await fixture.rolledOut("web", 1, first?.metadata?.uid);
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
  await fixture.createPod("unready", { containers: [container] });
  const pod = await fixture.podIn("unready", "Running");
  expect(pod.status?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    reason: "ContainersNotReady",
    message: "containers with unready status: [web]",
  });
});

test("kubectl logs follows to the end, and shows the last lines or the run before", async () => {
  const script = "echo one; echo two; [ -e again ] && { sleep 0.3; echo three; exit 0; }; touch again; exit 1";
  await fixture.createPod("talkative", { containers: [shell(script)], restartPolicy: "OnFailure" });
  await until(async () => {
    const { status } = await fixture.core.readNamespacedPod({ name: "talkative", namespace });
    expect(status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });
  expect(await fixture.kubectl("logs", "--follow", "talkative")).toBe("one\ntwo\nthree\n");
  expect(await fixture.kubectl("logs", "--tail=1", "talkative")).toBe("three\n");
  expect(await fixture.kubectl("logs", "--previous", "talkative")).toBe("one\ntwo\n");
});
