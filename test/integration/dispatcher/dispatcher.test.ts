import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { jobs } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

test("an Operation is accepted, and gets one Job that knows it", async () => {
  fixture.dispatcher();
  await fixture.target();
  const { metadata } = await fixture.operation({ name: "nightly" });
  const operation = await fixture.says("nightly", "Accepted=True/TemplateValidated");
  const job = await fixture.job(operation);

  expect(job.metadata.labels).toMatchObject({
    "ops.vworkspace.io/operation": metadata.uid,
    "ops.vworkspace.io/operation-name": "nightly",
    "ops.vworkspace.io/operation-namespace": fixture.tenant,
    "ops.vworkspace.io/attempt": "1",
  });
  const selector = ["-l", "ops.vworkspace.io/operation-name=nightly"];
  const found = await cluster.kubectl(["get", "jobs", "-n", fixture.jobNamespace, ...selector, "-o", "name"]);
  expect(found.stdout.trim()).toBe(`job.batch/${job.metadata.name}`);
  expect(operation.status?.startedAt).toBeDefined();
  // The API server took every field as it was given: nothing of the Job was pruned or refused.
  expect(JSON.stringify(job.spec)).toContain(`{"name":"OPERATION_UID","value":"${metadata.uid}"}`);
  expect((await fixture.announced("JobCreated")).metadata.name).toMatch(/^nightly\./);
});

test("whatever is killed whenever, each Operation gets one Job, created once", async () => {
  await fixture.target();
  const names = ["a", "b", "c"];
  const created = [];
  for (const name of names) {
    // Killed while it may be anywhere in its work for the Operation before.
    const killed = fixture.dispatcher();
    await killed.logged(({ msg }) => msg === "lease acquired");
    created.push(await fixture.operation({ name }));
    await fixture.says(name, "Accepted=True/TemplateValidated");
    await killed.stop("SIGKILL");
    // The Lease of a killed one would have to run out first.
    await cluster.kubectl(["delete", "lease", "-n", fixture.jobNamespace, "--all"]);
  }
  fixture.dispatcher();
  const made = await Promise.all(created.map((operation) => fixture.job(operation)));
  expect(await fixture.jobNames()).toEqual(made.map(({ metadata }) => metadata.name).sort());
  const posts = (await cluster.audit()).filter(
    ({ verb, objectRef, responseStatus }) =>
      verb === "create" &&
      objectRef?.resource === "jobs" &&
      objectRef.namespace === fixture.jobNamespace &&
      responseStatus?.code === 201,
  );
  expect(posts).toHaveLength(names.length);
});

test("a Job that is deleted while its Operation runs is made again", async () => {
  fixture.dispatcher();
  await fixture.target();
  const operation = await fixture.operation({ name: "nightly" });
  const first = await fixture.job(operation);
  const { name, namespace = "", uid } = first.metadata;
  await fixture.client.delete(jobs, { name, namespace }, { propagationPolicy: "Background" });
  const second = await fixture.until(jobs, { name, namespace }, (job) => job !== undefined && job.metadata.uid !== uid);
  expect(second?.metadata.labels).toEqual(
    expect.objectContaining({ "ops.vworkspace.io/operation": operation.metadata.uid }),
  );
});

test("a Job whose Operation is gone and of which nothing ever ran is removed", async () => {
  fixture.dispatcher();
  await fixture.target();
  const operation = await fixture.operation({ name: "nightly" });
  const { metadata } = await fixture.job(operation);
  await fixture.client.delete(operations, { namespace: fixture.tenant, name: "nightly" });
  await fixture.until(jobs, { namespace: fixture.jobNamespace, name: metadata.name }, (job) => job === undefined);
});

test("somebody else's Job of the same name is left alone, and told", async () => {
  await fixture.target();
  const operation = await fixture.operation({ name: "nightly" });
  // What its Job will be called is no secret.
  const first = fixture.dispatcher();
  const { metadata } = await fixture.job(operation);
  await first.stop();
  await fixture.client.delete(
    jobs,
    { namespace: fixture.jobNamespace, name: metadata.name },
    { propagationPolicy: "Background" },
  );
  const object = { namespace: fixture.jobNamespace, name: metadata.name };
  await fixture.until(jobs, object, (job) => job === undefined);
  const container = { name: "x", image: "x" };
  const foreign = await fixture.client.create(jobs, {
    metadata: object,
    spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } },
  });

  fixture.dispatcher();
  const told = await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message.includes("was not made for this Operation")),
  );
  expect(told?.status?.phase).not.toBe("Failed");
  expect((await fixture.client.get(jobs, object)).metadata.uid).toBe(foreign.metadata.uid);
  await fixture.client.delete(jobs, object, { propagationPolicy: "Background" });
  const own = await fixture.until(
    jobs,
    object,
    (job) => job !== undefined && job.metadata.uid !== foreign.metadata.uid,
  );
  expect(own?.metadata.labels).toMatchObject({ "ops.vworkspace.io/operation": operation.metadata.uid });
});

/** Allows none of these in the namespace of the Jobs, from now on. */
async function allowNone(what: string): Promise<void> {
  const quota = {
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "none", namespace: fixture.jobNamespace },
  };
  await cluster.apply([{ ...quota, spec: { hard: { [what]: "0" } } }]);
  const enforced = ["wait", "-n", fixture.jobNamespace, "--for=jsonpath={.status.hard}", "quota/none", "--timeout=60s"];
  expect(await cluster.kubectl(enforced)).toMatchObject({ code: 0 });
}

test("a quota that leaves no room for the Job's pod is told in its own words, until there is room", async () => {
  await allowNone("pods");
  fixture.dispatcher();
  await fixture.target();
  await fixture.operation({ name: "nightly" });
  const told = await fixture.says("nightly", "Running=False/FailedCreate");
  expect(told.status?.phase).toBe("Pending");
  expect(told.status?.conditions?.find(({ type }) => type === "Running")?.message).toMatch(
    /^the API server refuses its pod: exceeded quota: none, requested: pods=1, /,
  );
  await cluster.kubectl(["delete", "quota", "none", "-n", fixture.jobNamespace]);
  await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).every(({ reason }) => reason !== "FailedCreate"),
  );
});

test("a full quota is told, and waited out", async () => {
  await allowNone("count/jobs.batch");
  fixture.dispatcher();
  await fixture.target();
  const operation = await fixture.operation({ name: "nightly" });
  await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(
      ({ type, message }) =>
        type === "Running" && message.includes("cannot be created") && message.includes("exceeded quota"),
    ),
  );
  await cluster.kubectl(["delete", "quota", "none", "-n", fixture.jobNamespace]);
  await fixture.job(operation);
  await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message === "its runner is being started"),
  );
});
