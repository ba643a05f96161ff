import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { build } from "../../src/build/bundle.ts";
import { fileOf, PARTS } from "../../src/build/parts.ts";
import { rehearse } from "../../src/build/rehearsal.ts";
import { tunnel } from "./runner/objectStore.ts";

let folder: string;
let files: Record<string, string>;
beforeAll(async () => {
  folder = await emptyFolder();
  await build(folder);
  files = await digests(folder);
});
afterAll(async () => await rm(folder, { recursive: true }));

test("the same sources give the same bundle, byte for byte", async () => {
  // Built at once, they get in each other's way: what depends on which file is read first shows.
  const others = await Promise.all([folderOfTest(), folderOfTest()]);
  await Promise.all([...others, folder].map(build));
  for (const other of others) expect(withoutCode(await digests(other))).toEqual(withoutCode(files));
  // In compiled code stands where its file lies.
  expect(await digests(folder)).toEqual(files);
});

function withoutCode(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !name.endsWith(".cache")));
}

test("the bill of materials names what is in the bundle, and nothing else", async () => {
  const { components, metadata } = JSON.parse(await readFile(path.join(folder, "sbom.cdx.json"), "utf8"));
  expect(metadata.component).toMatchObject({ name: "operation-runner", licenses: [{ license: { id: "Apache-2.0" } }] });
  const names = components.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(["@kubernetes/client-node", "pino", "socks-proxy-agent", "zod"]));
  expect(names).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(vitest|esbuild|typescript)$/)]));
});

/** Run before the program: tells in the end, as JSON on the standard error, what it loaded. */
const TELL_LOADED = `
  const fs = require("node:fs");
  const path = require("node:path");
  const read = new Set();
  const { readFileSync } = fs;
  fs.readFileSync = (file, ...rest) => (read.add(path.basename(String(file))), readFileSync(file, ...rest));
  process.on("exit", () => {
    const files = [...read, ...Object.keys(require.cache).map((file) => path.basename(file))];
    const native = process.moduleLoadList.flatMap((each) => /^NativeModule (.+)/.exec(each)?.[1] ?? []);
    fs.writeSync(2, JSON.stringify({ files: files.filter((file) => file.endsWith(".js")), native }));
  });`;

test("a runner carries a backup out and loads nothing on the way that it needs seldom", async () => {
  const preload = path.join(await folderOfTest(), "preload.cjs");
  await writeFile(preload, TELL_LOADED);
  const { exitCode, stderr } = await rehearsed(folder, ["--require", preload]);
  expect(exitCode).toBe(0);
  const { files, native } = JSON.parse(stderr);
  // A pod's own service account needs no YAML either; a kubeconfig does.
  expect(new Set(files)).toEqual(new Set(["operation-runner.js", "run.js", "js-yaml.js"]));
  for (const each of ["child_process", "fs/promises", "internal/deps/undici/undici"])
    expect(native).not.toContain(each);
});

/** Run before the program: tells in the end, on the standard error, how much code it has generated. */
const COUNT_GENERATED = `
  let generated = 0;
  globalThis.Function = new Proxy(Function, { construct: (...made) => (generated++, Reflect.construct(...made)) });
  process.on("exit", () => require("node:fs").writeSync(2, String(generated)));`;

test("a runner generates no code for what it reads: it would take longer than to do without", async () => {
  const preload = path.join(await folderOfTest(), "preload.cjs");
  await writeFile(preload, COUNT_GENERATED);
  const { exitCode, stderr } = await rehearsed(folder, ["--require", preload]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "0" });
});

test("a kubeconfig may ask for what is needed seldom: a command's token, over a proxy", async () => {
  const proxy = await tunnel();
  const token = 'console.log(JSON.stringify({ status: { token: "none" } }))';
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", token] };
  const { exitCode } = await rehearsed(folder, [], ({ clusters, users, ...config }) => ({
    ...config,
    clusters: clusters.map(({ name, cluster }) => ({ name, cluster: { ...cluster, "proxy-url": proxy.url } })),
    users: users.map(({ name }) => ({ name, user: { exec } })),
  }));
  expect(exitCode).toBe(0);
  expect(proxy.asked).not.toEqual([]);
});

test("the compiled code of every part fits it", async () => {
  const code = `
    const { readFileSync } = require("node:fs");
    const { Script } = require("node:vm");
    for (const file of process.argv.slice(1)) {
      const cachedData = readFileSync(file + ".cache");
      console.log(new Script(readFileSync(file, "utf8"), { cachedData }).cachedDataRejected);
    }`;
  const parts = Object.keys(PARTS).map((part) => path.join(folder, fileOf(part)));
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", code, ...parts]);
  expect(stdout.trim().split("\n")).toEqual(["false", "false", "false", "false", "false"]);
});

test.each(["another Node's", "missing"])("compiled code that is %s is made anew", async (state) => {
  const copy = await folderOfTest();
  await cp(folder, copy, { recursive: true });
  const cache = path.join(copy, "run.js.cache");
  await (state === "missing" ? rm(cache) : writeFile(cache, "what another Node made"));
  expect((await rehearsed(copy, [])).exitCode).toBe(0);
});

test("no character takes more than one byte in memory", async () => {
  for (const file of ["operation-runner.js", ...Object.keys(PARTS).map(fileOf)])
    expect(/.{0,40}[^\p{ASCII}]/u.exec(await readFile(path.join(folder, file), "utf8"))?.[0]).toBeUndefined();
});

interface Kubeconfig {
  readonly clusters: readonly { readonly name: string; readonly cluster: object }[];
  readonly users: readonly { readonly name: string }[];
}

/** Runs the bundled runner against the server that the compiled code is made with. */
async function rehearsed(
  folder: string,
  flags: readonly string[],
  change: (config: Kubeconfig) => object = (config) => config,
): Promise<{ exitCode: number; stderr: string }> {
  let stderr = "";
  const { exitCode } = await rehearse(async (env) => {
    const kubeconfig = env.KUBECONFIG ?? "";
    await writeFile(kubeconfig, JSON.stringify(change(JSON.parse(await readFile(kubeconfig, "utf8")))));
    const child = spawn(process.execPath, [...flags, path.join(folder, "operation-runner.js"), "run"], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [told, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
    stderr = told;
    return code;
  });
  return { exitCode, stderr };
}

async function emptyFolder(): Promise<string> {
  return await mkdtemp(path.join(os.tmpdir(), "operation-runner-bundle-"));
}

/** An empty folder that goes when the test ends. */
async function folderOfTest(): Promise<string> {
  const made = await emptyFolder();
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

async function digests(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const file of (await readdir(folder)).sort())
    found[file] = createHash("sha256")
      .update(await readFile(path.join(folder, file)))
      .digest("hex");
  return found;
}
