import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { jobName } from "../../../src/api/names.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import type { Manifest } from "../../../src/kube/metadata.ts";
import { type Job, jobs } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// People make Jobs with kubectl, on a real API server with the real Job controller. Runners are played.
const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
  fixture.dispatcher();
  await fixture.target();
});
afterEach(() => fixture.close());

/** An Operation that its runner has ended, with its Job. */
async function failed(): Promise<{ operation: Operation; job: Job }> {
  const operation = await fixture.operation({ name: "nightly" });
  const job = await fixture.job(operation);
  await end(job, 1);
  return { operation, job };
}

/** A runner joins with that Job, and fails. */
async function end({ metadata: { uid } }: Job, attempt: number): Promise<void> {
  const { status } = await fixture.says("nightly", "Accepted=True/TemplateValidated");
  await fixture.report("nightly", {
    phase: "Failed",
    runner: { ...status?.runner, attempt, jobUIDs: [uid] },
    conditions: [{ type: "Failed", status: "True", reason: "VeleroBackupFailed", message: "no space" }],
  });
}

async function opened(attempt: number): Promise<Operation | undefined> {
  return await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) => {
    const accepted = seen?.status?.conditions?.find(({ type }) => type === "Accepted");
    return seen?.status?.runner?.attempt === attempt && accepted?.status === "True";
  });
}

/** A Job as kubectl exports it, without what belongs to that one Job alone. */
async function exported(name: string, ...flags: string[]): Promise<Job & { spec: { template: Manifest } }> {
  const { stdout } = await cluster.kubectl(["get", "job", name, "-n", fixture.jobNamespace, "-o", "json", ...flags]);
  const job = JSON.parse(stdout);
  delete job.spec.selector;
  for (const label of ["controller-uid", "job-name"]) {
    delete job.spec.template.metadata.labels[label];
    delete job.spec.template.metadata.labels[`batch.kubernetes.io/${label}`];
  }
  return job;
}

async function kubectl(args: string[], object: object): Promise<void> {
  const answer = await cluster.kubectl([...args, "-n", fixture.jobNamespace, "-f", "-"], {
    input: JSON.stringify(object),
  });
  expect(answer).toMatchObject({ code: 0 });
}

async function uidOf(name: string): Promise<string> {
  return (await fixture.client.get(jobs, { namespace: fixture.jobNamespace, name })).metadata.uid;
}

describe("a Job that is made again for a failed Operation has it run again", () => {
  test("by kubectl replace --force, in the place of the old one", async () => {
    const { job } = await failed();
    const { name } = job.metadata;
    await kubectl(["replace", "--force"], await exported(name));
    const again = await opened(2);
    const uid = await uidOf(name);
    expect(uid).not.toBe(job.metadata.uid);
    expect(again?.status?.runner).toMatchObject({ jobName: name, requestedBy: [uid] });
    expect(await fixture.jobNames()).toEqual([name]);
  });

  test("under another name, with the labels of the old one: once for each", async () => {
    const { job } = await failed();
    for (const [attempt, name] of [
      [2, "again"],
      [3, "and-again"],
    ] as const) {
      const copy = await exported(job.metadata.name);
      await kubectl(["create"], { ...copy, metadata: { ...copy.metadata, name } });
      const again = await opened(attempt);
      const made = await fixture.client.get(jobs, { namespace: fixture.jobNamespace, name });
      expect(again?.status?.runner).toMatchObject({ attempt, jobName: name, requestedBy: [made.metadata.uid] });
      await end(made, attempt);
    }
    expect(await fixture.jobNames()).toEqual([job.metadata.name, "again", "and-again"].sort());
  });

  test("as an export that says who made the first, and has less than that", async () => {
    const { job } = await failed();
    const copy = await exported(job.metadata.name, "--show-managed-fields");
    expect(JSON.stringify(copy.metadata.managedFields)).toContain('"operation-dispatcher"');
    // Who wrote what is noted to the second.
    const created = Date.parse(job.metadata.creationTimestamp);
    await expect.poll(() => Date.now() - created, { timeout: 10_000 }).toBeGreaterThan(2_000);
    const { labels = {} } = copy.metadata;
    const { "app.kubernetes.io/part-of": _left, ...fewer } = labels;
    await kubectl(["create"], { ...copy, metadata: { ...copy.metadata, labels: fewer, name: "again" } });
    expect((await opened(2))?.status?.runner).toMatchObject({ requestedBy: [await uidOf("again")] });
  });
});

test("a Job that the dispatcher makes just as its Operation ends asks for nothing", async () => {
  const { operation, job } = await failed();
  const { metadata, spec } = await exported(job.metadata.name);
  const name = jobName(operation.metadata, 1);
  await fixture.client.delete(jobs, job.metadata, { propagationPolicy: "Background" });
  await fixture.until(jobs, { namespace: fixture.jobNamespace, name }, (seen) => seen === undefined);
  // What a dispatcher sends whose watch has told it of the deletion, and not yet of the end.
  const late = await fixture.client.create(
    jobs,
    { metadata: { namespace: fixture.jobNamespace, name, labels: metadata.labels ?? {} }, spec },
    { fieldManager: "operation-dispatcher" },
  );
  const told = await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.runner?.jobUIDs ?? []).includes(late.metadata.uid),
  );
  expect(told?.status).toMatchObject({
    phase: "Failed",
    runner: { attempt: 1, jobUIDs: [job.metadata.uid, late.metadata.uid] },
  });
  expect(told?.status?.history).toBeUndefined();
});
