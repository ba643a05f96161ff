import type { V1Container, V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { ConfigError, envReferences, expand, podField, resolveEnv } from "../../cluster/processNode/env.ts";

const pod: V1Pod = {
  metadata: {
    name: "web-1",
    namespace: "org-a",
    uid: "u-1",
    labels: { "app.kubernetes.io/name": "web", tier: "front" },
    annotations: { "example.com/note": "hi" },
  },
  spec: { nodeName: "n1", serviceAccountName: "web", containers: [] },
};
const sources = {
  configMaps: new Map([["settings", { data: { level: "debug", port: "8080" } }]]),
  secrets: new Map([["keys", { data: { token: Buffer.from("s3cret").toString("base64") } }]]),
};
const container = (rest: Partial<V1Container>): V1Container => ({ name: "main", ...rest });

test("variables come from envFrom first, and env wins and may refer to them", () => {
  const env = resolveEnv(
    container({
      envFrom: [{ prefix: "S_", configMapRef: { name: "settings" } }, { secretRef: { name: "keys" } }],
      env: [
        { name: "URL", value: "http://localhost:$(S_port)/$(token)" },
        { name: "S_level", value: "info" },
        { name: "EMPTY" },
      ],
    }),
    pod,
    sources,
  );
  expect(env).toEqual({
    S_level: "info",
    S_port: "8080",
    token: "s3cret",
    URL: "http://localhost:8080/s3cret",
    EMPTY: "",
  });
});

test("single keys and pod fields are looked up", () => {
  const env = resolveEnv(
    container({
      env: [
        { name: "LEVEL", valueFrom: { configMapKeyRef: { name: "settings", key: "level" } } },
        { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
        { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "NONE", valueFrom: { configMapKeyRef: { name: "absent", key: "x", optional: true } } },
      ],
    }),
    pod,
    sources,
  );
  expect(env).toEqual({ LEVEL: "debug", TOKEN: "s3cret", POD: "web-1" });
});

test.each([
  [{ env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "no", key: "x" } } }] }, 'configmap "no" not found'],
  [{ env: [{ name: "A", valueFrom: { secretKeyRef: { name: "no", key: "x" } } }] }, 'secret "no" not found'],
  [
    { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "x" } } }] },
    "couldn't find key x in ConfigMap settings",
  ],
  [{ envFrom: [{ secretRef: { name: "no" } }] }, 'secret "no" not found'],
  [{ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.x" } } }] }, "unsupported fieldPath: spec.x"],
])("what is missing is named: %j", (spec, message) => {
  expect(() => resolveEnv(container(spec), pod, sources)).toThrow(new ConfigError(message));
});

test("all references of a container are found", () => {
  const spec = container({
    envFrom: [{ configMapRef: { name: "a" } }, { secretRef: { name: "b" } }],
    env: [
      { name: "A", valueFrom: { configMapKeyRef: { name: "c", key: "x" } } },
      { name: "B", valueFrom: { secretKeyRef: { name: "b", key: "x" } } },
    ],
  });
  expect(envReferences(spec)).toEqual({ configMaps: ["a", "c"], secrets: ["b"] });
});

test.each([
  ["$(A)-$(B)", "1-$(B)"],
  ["$$(A) costs $5", "$(A) costs $5"],
  ["$(A", "$(A"],
])("expansion of %s", (text, expanded) => {
  expect(expand(text, { A: "1" })).toBe(expanded);
});

test.each([
  ["metadata.uid", "u-1"],
  ["metadata.namespace", "org-a"],
  ["metadata.labels['app.kubernetes.io/name']", "web"],
  ["metadata.annotations['example.com/note']", "hi"],
  ["metadata.annotations['absent']", ""],
  ["metadata.labels", 'app.kubernetes.io/name="web"\ntier="front"'],
  ["spec.serviceAccountName", "web"],
  ["spec.nodeName", "n1"],
  ["status.podIP", "127.0.0.1"],
])("the downward API's %s", (field, value) => {
  expect(podField(pod, field)).toBe(value);
});
