import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import { expect, onTestFinished, test, vi } from "vitest";
import { loadConfig } from "../../../src/kube/config.ts";

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), "kubeconfig-"));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

/** A kubeconfig with one cluster, user and context, all of that name. JSON is YAML. */
function kubeconfig(name: string, user: Record<string, unknown> = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: `https://${name}.invalid`, "certificate-authority-data": "Y2E=" } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}

/** What a request with that config would carry. */
async function applied(config: ReturnType<typeof loadConfig>) {
  const context = new RequestContext("https://one.invalid/api", "GET");
  await config.applySecurityAuthentication(context);
  return { agent: config.agent, authorization: context.getHeaders().Authorization };
}

test("without KUBECONFIG and outside of a pod the error says what was looked for", () => {
  expect(() => loadConfig({})).toThrow("no API server: KUBECONFIG is not set, and this is no pod");
});

test.each([
  ["10.0.0.1", "https://10.0.0.1:6443"],
  ["fd00::1", "https://[fd00::1]:6443"],
])("a pod finds the API server at %s, with the token that is mounted", async (host, server) => {
  const mounted = await folder();
  await writeFile(path.join(mounted, "token"), "mounted");
  await writeFile(path.join(mounted, "ca.crt"), "");
  const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "6443" };
  const config = loadConfig(env, mounted);
  expect(config.getCurrentCluster()).toMatchObject({
    server,
    caFile: path.join(mounted, "ca.crt"),
    skipTLSVerify: false,
  });
  expect((await applied(config)).authorization).toBe("Bearer mounted");
});

test("the kubeconfig in the home folder is never taken", async () => {
  const home = await folder();
  await mkdir(path.join(home, ".kube"));
  vi.stubEnv("HOME", home);
  onTestFinished(() => void vi.unstubAllEnvs());
  await writeFile(path.join(home, ".kube", "config"), kubeconfig("home"));
  expect(() => loadConfig({ HOME: home })).toThrow("no API server");
});

test("a file that is not there, or names no cluster, is named in the error", async () => {
  const file = path.join(await folder(), "config");
  expect(() => loadConfig({ KUBECONFIG: file })).toThrow(`KUBECONFIG names ${file}, which cannot be loaded`);
  await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "Config" }));
  expect(() => loadConfig({ KUBECONFIG: file })).toThrow(`KUBECONFIG (${file}) has no usable current-context`);
});

test("of several files the first one's context is current, as kubectl does", async () => {
  const made = await folder();
  const files = ["one", "two"].map((name) => path.join(made, name));
  for (const file of files) await writeFile(file, kubeconfig(path.basename(file)));
  const config = loadConfig({ KUBECONFIG: files.join(path.delimiter) });
  expect(config.getCurrentCluster()?.server).toBe("https://one.invalid");
  expect(config.getClusters()).toHaveLength(2);
});

test("a token that was renewed in its file is used, over the same connections", async () => {
  const made = await folder();
  const file = path.join(made, "config");
  await writeFile(file, kubeconfig("one", { tokenFile: "token" }));
  await writeFile(path.join(made, "token"), "first");
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const config = loadConfig({ KUBECONFIG: file });
  const before = await applied(config);
  await writeFile(path.join(made, "token"), "second");
  vi.setSystemTime(Date.now() + 61_000);
  const after = await applied(config);
  expect([before.authorization, after.authorization]).toEqual(["Bearer first", "Bearer second"]);
  expect(after.agent).toBe(before.agent);
});

test("a renewed client certificate means new connections", async () => {
  const made = await folder();
  const file = path.join(made, "config");
  const user = { "client-certificate": path.join(made, "crt"), "client-key": path.join(made, "key") };
  await writeFile(file, kubeconfig("one", user));
  await writeFile(path.join(made, "key"), "key");
  await writeFile(path.join(made, "crt"), "first");
  const config = loadConfig({ KUBECONFIG: file });
  const [first, again] = [await applied(config), await applied(config)];
  await writeFile(path.join(made, "crt"), "second");
  const renewed = await applied(config);
  expect(again.agent).toBe(first.agent);
  expect(renewed.agent).not.toBe(first.agent);
});
