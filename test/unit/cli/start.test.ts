import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build } from "../../../src/build/bundle.ts";

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-cli-"));
  await build(path.join(folder, "dist"));
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

/** Runs the bundle under that name, as npm and kubectl do. */
async function called(name: string, ...args: string[]): Promise<string> {
  const file = path.join(folder, name);
  await symlink(path.join(folder, "dist", "operation-runner.js"), file);
  return (await run(process.execPath, [file, ...args], { env: { PATH: process.env.PATH } })).stdout;
}

test("as a plugin of kubectl it says so", async () => {
  expect(await called("kubectl-operation", "--help")).toMatch(/^Usage: kubectl operation /);
  expect(await called("kubectl-operation_runner", "--help")).toMatch(/^Usage: kubectl operation-runner /);
  expect(await called("operation-runner", "--help")).toMatch(/^Usage: operation-runner /);
});

test("kubectl asks it for completions by a name of their own", async () => {
  expect(await called("kubectl_complete-operation", "describe", "--out")).toBe(":4\n");
  await rm(path.join(folder, "kubectl_complete-operation"));
  expect(await called("kubectl_complete-operation", "get", "--out")).toBe("--output\n:4\n");
});

test("help, and what is wrong about the arguments, need none of what carries the verbs out", async () => {
  const bare = path.join(folder, "bare");
  await cp(path.join(folder, "dist"), bare, { recursive: true });
  for (const part of ["everydayVerbs.js", "furtherVerbs.js"]) await rm(path.join(bare, part));
  const program = path.join(bare, "operation-runner.js");
  expect((await run(process.execPath, [program, "--help"])).stdout).toContain("Exit codes: 0 done");
  expect((await run(process.execPath, [program, "restore", "--help"])).stdout).toContain("--existing-resource-policy");
  await expect(run(process.execPath, [program, "restore", "shop"])).rejects.toMatchObject({ code: 64 });
});

test("neither the Job nor the dispatcher loads anything of it", async () => {
  const [cli, ...others] = await Promise.all(
    ["cli.js", "run.js", "dispatcher.js"].map((file) => readFile(path.join(folder, "dist", file), "utf8")),
  );
  const verb = /\b(delete-backup|describe) <name>/;
  expect(cli).toMatch(verb);
  for (const other of others) expect(other).not.toMatch(verb);
});
