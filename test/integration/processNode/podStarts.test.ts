import { join } from "node:path";
import { PatchStrategy, setHeaderOptions, type V1PodSpec } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { images, namespace, ProcessNodeFixture, shell, until } from "./processNodeFixture.ts";

let fixture: ProcessNodeFixture;

beforeAll(async () => {
  fixture = await ProcessNodeFixture.open();
});
afterAll(() => fixture?.close());

test("an unknown image is shown as such, and pulled once it exists", async () => {
  await fixture.createPod("unpulled", {
    containers: [{ ...shell("exit 0"), image: "test/later:1" }],
    restartPolicy: "Never",
  });
  const waiting = async (reason: string) => {
    const { status } = await fixture.core.readNamespacedPod({ name: "unpulled", namespace });
    expect(status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe(reason);
    expect(status?.phase).toBe("Pending");
  };
  await until(() => waiting("ErrImagePull"));
  await until(() => waiting("ImagePullBackOff"));
  images["test/later:1"] = images["test/shell"] ?? expect.unreachable();
  await fixture.podIn("unpulled", "Succeeded");
});

test("a missing ConfigMap or Secret holds the container back until it exists", async () => {
  const container = {
    ...shell('echo "$WORD $KEY"'),
    env: [
      { name: "WORD", valueFrom: { configMapKeyRef: { name: "late", key: "word" } } },
      { name: "KEY", valueFrom: { secretKeyRef: { name: "late", key: "key" } } },
    ],
  };
  await fixture.createPod("unconfigured", { containers: [container], restartPolicy: "Never" });
  const waiting = async (message: string) => {
    const { status } = await fixture.core.readNamespacedPod({ name: "unconfigured", namespace });
    expect(status?.containerStatuses?.[0]?.state?.waiting).toEqual({ reason: "CreateContainerConfigError", message });
  };
  await until(() => waiting('configmap "late" not found'));
  await fixture.core.createNamespacedConfigMap({
    namespace,
    body: { metadata: { name: "late" }, data: { word: "hello" } },
  });
  await until(() => waiting('secret "late" not found'));
  await fixture.core.createNamespacedSecret({
    namespace,
    body: { metadata: { name: "late" }, stringData: { key: "s3cret" } },
  });
  await fixture.podIn("unconfigured", "Succeeded");
  expect(await fixture.kubectl("logs", "unconfigured")).toBe("hello s3cret\n");
});

test("init containers run first, volumes are shared, and paths lead into them", async () => {
  await fixture.core.createNamespacedConfigMap({
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
  const uid = await fixture.createPod("volumes", spec, { app: "volumes" });
  await fixture.podIn("volumes", "Succeeded");
  vi.unstubAllEnvs();
  const home = join(fixture.folder, "pods", `${namespace}_volumes_${uid}`);
  expect(await fixture.kubectl("logs", "volumes", "--container=main")).toBe(
    `helloapp="volumes" volumes volumes ${home}\n${home}\nclean\n`,
  );
});

test("a pod waits for its scheduling gates and its node", async () => {
  await fixture.createPod("gated", {
    containers: [shell("exit 0")],
    restartPolicy: "Never",
    schedulingGates: [{ name: "test/wait" }],
  });
  await fixture.createPod("elsewhere", { containers: [shell("exit 0")], nodeSelector: { disk: "ssd" } });
  await until(async () => {
    const { status } = await fixture.core.readNamespacedPod({ name: "elsewhere", namespace });
    expect(status?.conditions?.find(({ type }) => type === "PodScheduled")?.reason).toBe("Unschedulable");
  });
  expect((await fixture.core.readNamespacedPod({ name: "gated", namespace })).spec?.nodeName).toBeUndefined();
  await fixture.core.patchNamespacedPod(
    { name: "gated", namespace, body: { spec: { schedulingGates: [] } } },
    setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
  );
  await fixture.podIn("gated", "Succeeded");
});
