import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();
const main = join(import.meta.dirname, "../../../src/main.ts");
let folder: string;
let children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "operation-runner-process-"));
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  await rm(folder, { recursive: true });
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
}

/** `operation-runner run` as its container runs it, with the environment of the Job template. */
function runner(env: Record<string, string>): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [main, "run"], {
    env: { PATH: process.env.PATH, TERMINATION_MESSAGE_PATH: join(folder, "message"), ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const ended = async (): Promise<Outcome> => {
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    return { code, stdout };
  };
  return { child, outcome: ended() };
}

function identity(fixture: RunnerFixture, name: string, uid = ""): Record<string, string> {
  return {
    ...fixture.environment("Backup"),
    OPERATION_NAMESPACE: fixture.namespace,
    OPERATION_NAME: name,
    OPERATION_UID: uid,
    JOB_NAME: "b1-job",
    JOB_UID: "u1",
    POD_NAMESPACE: "vworkspace-system",
  };
}

async function terminationMessage(): Promise<unknown> {
  const message = await readFile(join(folder, "message"), "utf8");
  expect(message).not.toContain("\n");
  return JSON.parse(message);
}

test("without a name the process says which variables are missing, and is not tried again", async () => {
  const { outcome } = runner({ OPERATION_NAMESPACE: "org-a", OPERATION_NAME: "" });
  const { code, stdout } = await outcome;
  expect(code).toBe(2);
  expect(stdout).toContain("OPERATION_NAME must be set to the name of the Operation");
});

test("a Job made by hand for an Operation that does not exist fails, and says so", async () => {
  const fixture = await openStage();
  expect(await runner(identity(fixture, "typo")).outcome).toMatchObject({ code: 2 });
  const key = `${fixture.namespace}/typo`;
  expect(await terminationMessage()).toEqual({ operation: key, message: `there is no Operation ${key}` });
});

test("a Job from the wrong template fails at once, in the API server's words", async () => {
  const fixture = await openStage();
  const { metadata } = await fixture.admitted("r1", { type: "Restore", parameters: { backupName: "b1" } });
  expect(await runner(identity(fixture, "r1", metadata.uid)).outcome).toMatchObject({ code: 2 });
  expect(await terminationMessage()).toMatchObject({
    message: expect.stringContaining('cannot list resource "restores" in API group "velero.io"'),
  });
});

test("SIGTERM before the end is no success; the next process carries on to the end", async () => {
  const fixture = await openStage();
  const operation = await fixture.admitted("b1", { type: "Backup" });
  const env = identity(fixture, "b1", operation.metadata.uid);
  const first = runner(env);
  const object = await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
  await fixture.until("b1", ({ phase }) => phase === "Running");
  first.child.kill("SIGTERM");
  expect(await first.outcome).toMatchObject({ code: 1 });
  expect(await terminationMessage()).toMatchObject({ message: "SIGTERM before the end" });

  const second = runner(env);
  await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
  const { code, stdout } = await second.outcome;
  expect(code).toBe(0);
  const velero = fixture.velero.namespace;
  expect(await terminationMessage()).toEqual({
    operation: `${fixture.namespace}/b1`,
    attempt: 1,
    phase: "Succeeded",
    reason: "VeleroBackupCompleted",
    message: expect.stringContaining("velero.io/Backup completed"),
    veleroObject: `Backup ${velero}/b1`,
  });
  expect((await fixture.read("b1")).status?.engineRef?.uid).toBe(object.metadata.uid);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  const known = { component: "runner", operation: `${fixture.namespace}/b1`, job: "b1-job" };
  for (const line of lines) expect(line).toMatchObject(known);
  expect(lines.at(-1)).toMatchObject({ ...known, uid: operation.metadata.uid, attempt: 1, veleroObject: "b1" });
});
