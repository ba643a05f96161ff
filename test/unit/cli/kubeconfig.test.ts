import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import { expect, onTestFinished, test } from "vitest";
import { chooseCluster } from "../../../src/cli/kubeconfig.ts";

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), "cli-kubeconfig-"));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

/** Writes a kubeconfig with one cluster, user and context, all of that name. JSON is YAML. */
async function kubeconfig(
  file: string,
  name: string,
  more: { namespace?: string; user?: object; server?: string } = {},
) {
  const { namespace, user = { token: `token-of-${name}` }, server = `https://${name}.invalid` } = more;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server, "certificate-authority-data": "Y2E=" } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace && { namespace }) } }],
  };
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(config));
  return file;
}

function server({ config }: ReturnType<typeof chooseCluster>) {
  return config.getCurrentCluster()?.server;
}

async function headersOf({ config }: ReturnType<typeof chooseCluster>) {
  const request = new RequestContext("https://one.invalid/api", "GET");
  await config.applySecurityAuthentication(request);
  return request.getHeaders();
}

test("the file in the home folder is taken where nothing else is named, with the namespace of its context", async () => {
  const home = await folder();
  await kubeconfig(path.join(home, ".kube", "config"), "home", { namespace: "org-a" });
  const chosen = chooseCluster({}, {}, home);
  expect(server(chosen)).toBe("https://home.invalid");
  expect(chosen.namespace).toBe("org-a");
  expect(chooseCluster({ namespace: "org-b" }, {}, home).namespace).toBe("org-b");
});

test("--kubeconfig counts before KUBECONFIG, and that before the home folder", async () => {
  const home = await folder();
  await kubeconfig(path.join(home, ".kube", "config"), "home");
  const one = await kubeconfig(path.join(home, "one"), "one");
  const two = await kubeconfig(path.join(home, "two"), "two");
  expect(server(chooseCluster({}, { KUBECONFIG: one }, home))).toBe("https://one.invalid");
  expect(server(chooseCluster({ kubeconfig: two }, { KUBECONFIG: one }, home))).toBe("https://two.invalid");
  expect(chooseCluster({ kubeconfig: two }, {}, home).namespace).toBe("default");
});

test("of several files the first that says something counts; one that is missing says nothing", async () => {
  const home = await folder();
  const one = await kubeconfig(path.join(home, "one"), "one");
  const other = await kubeconfig(path.join(home, "other"), "one", { server: "https://other.invalid" });
  const two = await kubeconfig(path.join(home, "two"), "two");
  const KUBECONFIG = [path.join(home, "missing"), one, other, two].join(path.delimiter);
  expect(server(chooseCluster({}, { KUBECONFIG }, home))).toBe("https://one.invalid");
  expect(server(chooseCluster({ context: "two" }, { KUBECONFIG }, home))).toBe("https://two.invalid");
});

test("what is wrong is named, with what there is", async () => {
  const home = await folder();
  const missing = path.join(home, "missing");
  const one = await kubeconfig(path.join(home, "one"), "one");
  const broken = path.join(home, "broken");
  await writeFile(broken, "{");
  expect(() => chooseCluster({}, {}, home)).toThrow("there is no ~/.kube/config");
  expect(() => chooseCluster({}, { KUBECONFIG: missing }, home)).toThrow(`KUBECONFIG names ${missing}`);
  expect(() => chooseCluster({ kubeconfig: missing }, {}, home)).toThrow(`kubeconfig ${missing} cannot be loaded`);
  expect(() => chooseCluster({ kubeconfig: broken }, {}, home)).toThrow(`kubeconfig ${broken} cannot be loaded`);
  expect(() => chooseCluster({ kubeconfig: one, context: "x" }, {}, home)).toThrow(
    'no usable context "x"; there are one',
  );
});

test("who has no home folder, as in a container, has no file there: not even one in the current folder", async () => {
  const here = await folder();
  await kubeconfig(path.join(here, ".kube", "config"), "here");
  const before = process.cwd();
  onTestFinished(() => process.chdir(before));
  process.chdir(here);
  expect(() => chooseCluster({}, {}, "")).toThrow("no cluster");
});

test("credentials come from a program where the kubeconfig names one", async () => {
  const home = await folder();
  const status = { token: "from-a-program" };
  const answer = JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status });
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: process.execPath,
    args: ["-e", `console.log(${JSON.stringify(answer)})`],
    interactiveMode: "Never",
  };
  const file = await kubeconfig(path.join(home, "one"), "one", { user: { exec } });
  expect(await headersOf(chooseCluster({ kubeconfig: file }, {}, home))).toMatchObject({
    Authorization: "Bearer from-a-program",
  });
});

test("--as acts as another user, with one's own credentials", async () => {
  const home = await folder();
  const file = await kubeconfig(path.join(home, "one"), "one");
  expect(await headersOf(chooseCluster({ kubeconfig: file, as: "ann" }, {}, home))).toMatchObject({
    Authorization: "Bearer token-of-one",
    "Impersonate-User": "ann",
  });
  expect(await headersOf(chooseCluster({ kubeconfig: file }, {}, home))).not.toHaveProperty("Impersonate-User");
});
