import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "../dispatcher/dispatcherFixture.ts";
import { Cli, runCli } from "./runCli.ts";

// What people see of Operations, on a real API server. The dispatcher and the runners are played.
const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(async () => {
  await installApis(cluster, { snapshots: true });
  fixture = await DispatcherFixture.open(cluster);
});
afterAll(() => fixture?.close());

async function cli(...args: string[]) {
  return await runCli(args, { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
}

const refused = {
  conditions: [{ type: "Accepted", status: "False", reason: "TargetNotFound", message: "no ApplicationInstance shop" }],
} as const;

async function fail(name: string): Promise<void> {
  const conditions = [{ type: "Failed", status: "True", reason: "VeleroBackupFailed", message: "no space" }] as const;
  await fixture.report(name, { phase: "Failed", conditions });
}

async function degrade(name: string): Promise<void> {
  const conditions = [
    { type: "Succeeded", status: "True", reason: "VeleroBackupPartiallyFailed", message: "done" },
    { type: "Degraded", status: "True", reason: "PartialFailure", message: "1 error" },
  ] as const;
  await fixture.report(name, { phase: "Succeeded", conditions });
}

describe("get", () => {
  test("lists as the CRD's columns say, and a list is a list, be there none, one or many", async () => {
    const none = await cli("get");
    expect(none).toMatchObject({ code: 0, stdout: "" });
    expect(none.stderr).toContain(`No operations found in namespace ${fixture.tenant}`);
    expect(JSON.parse((await cli("get", "-o", "json")).stdout)).toMatchObject({ kind: "List", items: [] });

    await fixture.operation({ name: "one" });
    await fixture.succeed("one");
    const { stdout } = await cli("get");
    expect(stdout).toMatch(/^NAME +TYPE +TARGET +PHASE +PROGRESS +AGE\none +Backup +shop +Succeeded +<none> +\d+s\n$/);
    expect(JSON.parse((await cli("get", "-o", "json")).stdout).items).toHaveLength(1);
    expect(JSON.parse((await cli("get", "one", "-o", "json")).stdout)).toMatchObject({ kind: "Operation" });
    expect((await cli("get", "-o", "name")).stdout).toBe("operation/one\n");
    expect((await cli("get", "-o", "yaml")).stdout).not.toContain("managedFields");
    expect((await cli("get", "-A", "-o", "wide")).stdout).toMatch(/^NAMESPACE +NAME .* REASON +DURATION +AGE\n/);
  });

  test("names what is not there, and shows the rest", async () => {
    await fixture.operation({ name: "there" });
    const { code, stdout, stderr } = await cli("get", "operation/there", "not-there");
    expect(code).toBe(1);
    expect(stdout).toContain("there");
    expect(stderr).toBe(`error: there is no operation/not-there in namespace ${fixture.tenant}\n`);
  });

  test("-w shows every change until it is interrupted", async () => {
    await fixture.operation({ name: "changing" });
    const watch = new Cli(["get", "changing", "-w"], { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
    await watch.said(/^changing /m);
    await fixture.succeed("changing");
    await watch.said(/^changing .* Succeeded /m);
    watch.child.kill("SIGINT");
    expect(await watch.result()).toMatchObject({ code: 130 });
  });
});

describe("describe", () => {
  test("tells why it waits and what to do, and what the caller may see of the Job", async () => {
    await fixture.operation({ name: "waiting" });
    await fixture.report("waiting", { phase: "Pending", ...refused });
    const { code, stdout } = await cli("describe", "waiting");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Why: +TargetNotFound: no ApplicationInstance shop$/m);
    expect(stdout).toMatch(/^To do: +(\S.*): create it/m);
    const runner = { jobName: "gone", jobNamespace: fixture.jobNamespace };
    await fixture.report("waiting", { runner });
    expect((await cli("describe", "waiting")).stdout).toMatch(/^Job: .*\/gone, attempt 1, which is gone$/m);
  });

  test("says in plain words what does not exist", async () => {
    const answer = await cli("describe", "nobody");
    expect(answer).toMatchObject({ code: 1, stdout: "" });
    expect(answer.stderr).toBe(`error: there is no operation/nobody in namespace ${fixture.tenant}\n`);
  });
});

describe("wait ends as the Operation did", () => {
  test("succeeded", async () => {
    await fixture.operation({ name: "good" });
    const wait = new Cli(["wait", "good"], { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
    await fixture.succeed("good");
    expect(await wait.result()).toEqual({ code: 0, stdout: "operation/good succeeded\n", stderr: "" });
  });

  test("failed: with why, and what to do", async () => {
    await fixture.operation({ name: "bad" });
    await fail("bad");
    const { code, stdout, stderr } = await cli("wait", "bad");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "operation/bad failed\n" });
    expect(stderr).toContain("error: operation/bad failed: VeleroBackupFailed: no space");
    expect(stderr).toContain(`kubectl operation rerun bad -n ${fixture.tenant}`);
    const json = await cli("wait", "bad", "-o", "json");
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ status: { phase: "Failed" } });
    expect(await cli("wait", "bad", "--for", "ended")).toMatchObject({ code: 0 });
  });

  test("degraded: done, unless one is strict", async () => {
    await fixture.operation({ name: "half" });
    await degrade("half");
    const answer = await cli("wait", "half");
    expect(answer).toMatchObject({ code: 0, stdout: "operation/half succeeded, degraded\n" });
    expect(answer.stderr).toContain("PartialFailure: 1 error");
    expect(await cli("wait", "half", "--strict")).toMatchObject({ code: 4 });
  });

  test("not in time: with what it waits for", async () => {
    await fixture.operation({ name: "slow" });
    await fixture.report("slow", { phase: "Pending", ...refused });
    const { code, stdout, stderr } = await cli("wait", "slow", "--timeout", "300ms");
    expect({ code, stdout }).toEqual({ code: 124, stdout: "" });
    expect(stderr).toContain("timed out: operation/slow is waiting: TargetNotFound");
  });

  test("not in time, because nobody looks at it: it says so meanwhile", async () => {
    await fixture.operation({ name: "unnoticed" });
    const { code, stderr } = await cli("wait", "unnoticed", "--timeout", "33s");
    expect(code).toBe(124);
    expect(stderr).toContain("nobody has looked at operation/unnoticed for 3");
    expect(stderr).toContain("is the dispatcher running?");
    expect(stderr).toContain("what to do (the platform's admin): see whether the dispatcher runs");
  });

  test("interrupted: it goes on, and that is said", async () => {
    await fixture.operation({ name: "long" });
    await fixture.report("long", { phase: "Pending", ...refused });
    const watch = new Cli(["watch", "long"], { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
    await watch.said(/Waiting/);
    watch.child.kill("SIGINT");
    const { code, stderr } = await watch.result();
    expect(code).toBe(130);
    expect(stderr).toContain("operation/long goes on");
    expect(await fixture.client.get(operations, { namespace: fixture.tenant, name: "long" })).toBeDefined();
  });

  test("deleted, also when another one has taken its name", async () => {
    for (const name of ["removed", "replaced"]) {
      await fixture.operation({ name });
      await fixture.report(name, { phase: "Pending", ...refused });
      const watch = new Cli(["watch", name], { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
      await watch.said(/Waiting/);
      await fixture.client.delete(operations, { namespace: fixture.tenant, name });
      if (name === "replaced") await fixture.operation({ name });
      const { code, stderr } = await watch.result();
      expect(code).toBe(1);
      expect(stderr).toContain(`operation/${name} was deleted`);
    }
  });

  test("what is no duration is a wrong argument, and so is what no verb is", async () => {
    expect(await cli("wait", "good", "--timeout", "soon")).toMatchObject({ code: 64 });
    expect(await cli("wait")).toMatchObject({ code: 64 });
    expect(await cli("wait", "good", "-o", "xml")).toMatchObject({ code: 64 });
  });
});

test("watch tells each transition in a line of its own, and ends with the Operation", async () => {
  await fixture.operation({ name: "watched" });
  const watch = new Cli(["watch", "watched"], { kubeconfig: cluster.kubeconfig, namespace: fixture.tenant });
  await watch.said(/New/);
  await fixture.report("watched", { phase: "Pending", ...refused });
  await watch.said(/Waiting .*TargetNotFound/);
  await fail("watched");
  const { code, stdout } = await watch.result();
  expect(code).toBe(2);
  expect(stdout).toMatch(
    /^\d\d:\d\d:\d\d {2}New\n\S+ {2}Waiting {5}TargetNotFound: .*\n\S+ {2}Failed {6}VeleroBackupFailed: no space\n$/,
  );
});
