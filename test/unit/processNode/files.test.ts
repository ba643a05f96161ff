import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findImage } from "../../cluster/processNode/images.ts";
import { lastLines } from "../../cluster/processNode/kubeletEndpoint.ts";
import { containerPorts, createPorts } from "../../cluster/processNode/ports.ts";
import { terminationMessage } from "../../cluster/processNode/termination.ts";
import { makeVolumes, type VolumeSources } from "../../cluster/processNode/volumes.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "process-node-"));
});

afterEach(() => rm(folder, { recursive: true }));

const expires = new Date("2026-01-01T00:00:00Z");
const sources: VolumeSources = {
  configMap: async (name) => (name === "settings" ? { data: { a: "A", b: "B" } } : undefined),
  secret: async (name) => (name === "keys" ? { data: { key: Buffer.from([0, 255]).toString("base64") } } : undefined),
  token: async ({ audience = "default" }) => ({ token: `token for ${audience}`, expires }),
};
const podWith = (...volumes: NonNullable<NonNullable<V1Pod["spec"]>["volumes"]>): V1Pod => ({
  metadata: { name: "p", namespace: "org-a" },
  spec: { containers: [], volumes },
});

test("volumes become folders with the files their sources say", async () => {
  const pod = podWith(
    { name: "settings", configMap: { name: "settings", items: [{ key: "a", path: "deep/a.txt" }] } },
    { name: "keys", secret: { secretName: "keys" } },
    { name: "absent", secret: { secretName: "none", optional: true } },
    {
      name: "identity",
      projected: {
        sources: [
          { serviceAccountToken: { path: "token", audience: "vault" } },
          { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
        ],
      },
    },
  );
  const { folders, tokens } = await makeVolumes(pod, folder, sources);
  const read = (volume: string, path: string) => readFile(join(folders.get(volume) ?? "", path));
  expect((await read("settings", "deep/a.txt")).toString()).toBe("A");
  await expect(read("settings", "b")).rejects.toThrow("ENOENT");
  expect([...(await read("keys", "key"))]).toEqual([0, 255]);
  expect((await read("identity", "token")).toString()).toBe("token for vault");
  expect((await read("identity", "namespace")).toString()).toBe("org-a");
  expect(folders.has("absent")).toBe(true);
  expect(tokens.map(({ file }) => file)).toEqual([join(folder, "identity", "token")]);
});

test.each([
  [{ configMap: { name: "none" } }, 'configmap "none" not found'],
  [{ secret: { secretName: "none" } }, 'secret "none" not found'],
  [
    { configMap: { name: "settings", items: [{ key: "c", path: "c" }] } },
    'configmap "settings" references non-existent key: c',
  ],
  [{ hostPath: { path: "/" } }, 'the process node does not honour the kind of volume "v"'],
])("a volume that cannot be made says why: %j", async (volume, message) => {
  await expect(makeVolumes(podWith({ name: "v", ...volume }), folder, sources)).rejects.toThrow(message);
});

test("a termination message is what the container wrote, or the end of its log if asked for", async () => {
  const message = join(folder, "message");
  const log = join(folder, "log");
  await writeFile(message, "");
  await writeFile(log, `${"x".repeat(5000)}\nlast words\n`);
  expect(await terminationMessage(1, "File", message, log)).toBeUndefined();
  expect(await terminationMessage(0, "FallbackToLogsOnError", message, log)).toBeUndefined();
  const end = await terminationMessage(1, "FallbackToLogsOnError", message, log);
  expect(end).toHaveLength(2048);
  expect(end?.endsWith("x\nlast words\n")).toBe(true);
  await writeFile(message, "y".repeat(5000));
  expect(await terminationMessage(1, "FallbackToLogsOnError", message, log)).toBe("y".repeat(4096));
});

test("an image is found by its reference, or by its name without tag and digest", () => {
  const exact = () => ({ command: ["exact"] });
  const any = () => ({ command: ["any"] });
  const images = { "host:5000/app:1": exact, "host:5000/app": any };
  expect(findImage(images, "host:5000/app:1")).toBe(exact);
  expect(findImage(images, "host:5000/app:2")).toBe(any);
  expect(findImage(images, "host:5000/app:2@sha256:00")).toBe(any);
  expect(findImage(images, "host:5000/app")).toBe(any);
  expect(findImage(images, "host:5000/other:1")).toBeUndefined();
});

test.each([
  ["one\ntwo\nthree\n", 2, "two\nthree\n"],
  ["one\ntwo\nthree", 1, "three"],
  ["one\n", 5, "one\n"],
  ["one\ntwo\n", 0, ""],
  ["one\ntwo\n", undefined, "one\ntwo\n"],
  ["", 3, ""],
])("the last lines of %j, %s of them", (text, count, expected) => {
  expect(lastLines(Buffer.from(text), count).toString()).toBe(expected);
});

test("ports handed out are declared once, free, and never given twice", async () => {
  const pod: V1Pod = {
    spec: {
      containers: [
        { name: "a", ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { port: 81 } } },
        { name: "b", ports: [{ containerPort: 80 }], readinessProbe: { tcpSocket: { port: "http" } } },
      ],
    },
  };
  expect(containerPorts(pod)).toEqual([80, 81]);
  const freePort = createPorts();
  const ports = await Promise.all(Array.from({ length: 200 }, freePort));
  expect(new Set(ports).size).toBe(200);
});
