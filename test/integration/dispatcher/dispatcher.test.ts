import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { jobs } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { Arena, installApis } from "./dispatcherFixture.ts";

const cluster = testCluster();
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

test("an Operation is accepted, and gets one Job that knows it", async () => {
  arena.dispatcher();
  await arena.target();
  const { metadata } = await arena.operation({ name: "nightly" });
  const operation = await arena.says("nightly", "Accepted=True/TemplateValidated");
  const job = await arena.job(operation);

  expect(job.metadata.labels).toMatchObject({
    "ops.vworkspace.io/operation": metadata.uid,
    "ops.vworkspace.io/operation-name": "nightly",
    "ops.vworkspace.io/operation-namespace": arena.tenant,
    "ops.vworkspace.io/attempt": "1",
  });
  const selector = ["-l", "ops.vworkspace.io/operation-name=nightly"];
  const found = await cluster.kubectl(["get", "jobs", "-n", arena.jobNamespace, ...selector, "-o", "name"]);
  expect(found.stdout.trim()).toBe(`job.batch/${job.metadata.name}`);
  expect(operation.status?.startedAt).toBeDefined();
  // The API server took every field as it was given: nothing of the Job was pruned or refused.
  expect(JSON.stringify(job.spec)).toContain(`{"name":"OPERATION_UID","value":"${metadata.uid}"}`);
  for (const reason of ["TemplateValidated", "JobCreated"]) {
    expect((await arena.announced(reason)).metadata.name).toMatch(/^nightly\./);
  }
});

test("whatever is killed whenever, each Operation gets one Job, created once", async () => {
  await arena.target();
  const names = ["a", "b", "c"];
  const created = [];
  for (const name of names) {
    // Killed while it may be anywhere in its work for the Operation before.
    const killed = arena.dispatcher();
    await killed.logged(({ msg }) => msg === "lease acquired");
    created.push(await arena.operation({ name }));
    await arena.says(name, "Accepted=True/TemplateValidated");
    await killed.stop("SIGKILL");
    // The Lease of a killed one would have to run out first.
    await cluster.kubectl(["delete", "lease", "-n", arena.jobNamespace, "--all"]);
  }
  arena.dispatcher();
  const made = await Promise.all(created.map((operation) => arena.job(operation)));
  expect(await arena.jobNames()).toEqual(made.map(({ metadata }) => metadata.name).sort());
  const posts = (await cluster.audit()).filter(
    ({ verb, objectRef, responseStatus }) =>
      verb === "create" &&
      objectRef?.resource === "jobs" &&
      objectRef.namespace === arena.jobNamespace &&
      responseStatus?.code === 201,
  );
  expect(posts).toHaveLength(names.length);
});

test("a Job that is deleted while its Operation runs is made again", async () => {
  arena.dispatcher();
  await arena.target();
  const operation = await arena.operation({ name: "nightly" });
  const first = await arena.job(operation);
  const { name, namespace = "", uid } = first.metadata;
  await arena.client.delete(jobs, { name, namespace }, { propagationPolicy: "Background" });
  const second = await arena.until(jobs, { name, namespace }, (job) => job !== undefined && job.metadata.uid !== uid);
  expect(second?.metadata.labels).toEqual(
    expect.objectContaining({ "ops.vworkspace.io/operation": operation.metadata.uid }),
  );
});

test("a Job whose Operation is gone and of which nothing ever ran is removed", async () => {
  arena.dispatcher();
  await arena.target();
  const operation = await arena.operation({ name: "nightly" });
  const { metadata } = await arena.job(operation);
  await arena.client.delete(operations, { namespace: arena.tenant, name: "nightly" });
  await arena.until(jobs, { namespace: arena.jobNamespace, name: metadata.name }, (job) => job === undefined);
});

test("somebody else's Job of the same name is left alone, and told", async () => {
  await arena.target();
  const operation = await arena.operation({ name: "nightly" });
  // What its Job will be called is no secret.
  const first = arena.dispatcher();
  const { metadata } = await arena.job(operation);
  await first.stop();
  await arena.client.delete(
    jobs,
    { namespace: arena.jobNamespace, name: metadata.name },
    { propagationPolicy: "Background" },
  );
  const object = { namespace: arena.jobNamespace, name: metadata.name };
  await arena.until(jobs, object, (job) => job === undefined);
  const container = { name: "x", image: "x" };
  const foreign = await arena.client.create(jobs, {
    metadata: object,
    spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } },
  });

  arena.dispatcher();
  const told = await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message.includes("was not made for this Operation")),
  );
  expect(told?.status?.phase).not.toBe("Failed");
  expect((await arena.client.get(jobs, object)).metadata.uid).toBe(foreign.metadata.uid);
  await arena.client.delete(jobs, object, { propagationPolicy: "Background" });
  const own = await arena.until(jobs, object, (job) => job !== undefined && job.metadata.uid !== foreign.metadata.uid);
  expect(own?.metadata.labels).toMatchObject({ "ops.vworkspace.io/operation": operation.metadata.uid });
});

/** Allows none of these in the namespace of the Jobs, from now on. */
async function allowNone(what: string): Promise<void> {
  const quota = { apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "none", namespace: arena.jobNamespace } };
  await cluster.apply([{ ...quota, spec: { hard: { [what]: "0" } } }]);
  const enforced = ["wait", "-n", arena.jobNamespace, "--for=jsonpath={.status.hard}", "quota/none", "--timeout=60s"];
  expect(await cluster.kubectl(enforced)).toMatchObject({ code: 0 });
}

test("a quota that leaves no room for the Job's pod is told in its own words, until there is room", async () => {
  await allowNone("pods");
  arena.dispatcher();
  await arena.target();
  await arena.operation({ name: "nightly" });
  const told = await arena.says("nightly", "Running=False/FailedCreate");
  expect(told.status?.phase).toBe("Pending");
  expect(told.status?.conditions?.find(({ type }) => type === "Running")?.message).toMatch(
    /^Kubernetes does not let its pod in: exceeded quota: none, requested: pods=1, /,
  );
  await cluster.kubectl(["delete", "quota", "none", "-n", arena.jobNamespace]);
  await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).every(({ reason }) => reason !== "FailedCreate"),
  );
});

test("a full quota is told, and waited out", async () => {
  await allowNone("count/jobs.batch");
  arena.dispatcher();
  await arena.target();
  const operation = await arena.operation({ name: "nightly" });
  await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(
      ({ type, message }) =>
        type === "Running" && message.includes("cannot be created") && message.includes("exceeded quota"),
    ),
  );
  await cluster.kubectl(["delete", "quota", "none", "-n", arena.jobNamespace]);
  await arena.job(operation);
  await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message === "its runner is being started"),
  );
});
