import { expect, test } from "vitest";
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNoSuchKind,
  isNotFound,
} from "../../../src/kube/errors.ts";
import { configMaps, leases, namespaces, pods } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { connect, freshNamespace } from "./connect.ts";

const cluster = testCluster();
const client = connect(cluster.kubeconfig);

/** What a call fails with. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => expect.fail("the call succeeded"),
    (error: unknown) => error,
  );
}

test("what is created is read back, with its writer on record", async () => {
  const namespace = await freshNamespace(client);
  const created = await client.create(
    configMaps,
    { metadata: { namespace, name: "a", labels: { team: "x" } }, data: { key: "value" } },
    { fieldManager: "operation-runner" },
  );
  expect(await client.get(configMaps, { namespace, name: "a" })).toEqual(created);
  expect(created).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { key: "value" } });
  expect(created.metadata.managedFields).toMatchObject([{ manager: "operation-runner", operation: "Update" }]);
});

test("generateName, selectors and pages find what they should", async () => {
  const namespace = await freshNamespace(client);
  for (const team of ["x", "x", "y"]) {
    await client.create(configMaps, { metadata: { namespace, generateName: "gen-", labels: { team } } });
  }
  const { items } = await client.list(configMaps, { namespace, labelSelector: "team=x" });
  expect(items.map(({ metadata }) => metadata.labels?.team)).toEqual(["x", "x"]);
  const first = items[0]?.metadata.name ?? "";
  expect(first).toMatch(/^gen-/);
  const named = await client.list(configMaps, { namespace, fieldSelector: `metadata.name=${first}` });
  expect(named.items).toEqual([items[0]]);
});

test("more objects than fit on a page are all listed", async () => {
  const namespace = await freshNamespace(client);
  const names = Array.from({ length: 501 }, (_, i) => `cm-${String(i).padStart(3, "0")}`);
  const labels = { team: "x" };
  await Promise.all(names.map((name) => client.create(configMaps, { metadata: { namespace, name, labels } })));
  const { items } = await client.list(configMaps, { namespace, labelSelector: "team=x" });
  expect(items.map(({ metadata }) => metadata.name)).toEqual(names);
});

test("a taken name and a stale resourceVersion are both 409, and told apart", async () => {
  const namespace = await freshNamespace(client);
  const manifest = { metadata: { namespace, name: "a" } };
  const first = await client.create(configMaps, manifest);
  expect(isAlreadyExists(await failureOf(client.create(configMaps, manifest)))).toBe(true);
  await client.replace(configMaps, { ...first, data: { by: "one" } });
  const stale = await failureOf(client.replace(configMaps, { ...first, data: { by: "two" } }));
  expect(isConflict(stale)).toBe(true);
  expect(isAlreadyExists(stale)).toBe(false);
  expect((await client.get(configMaps, manifest.metadata)).data).toEqual({ by: "one" });
});

test("a merge patch changes the given fields and no others", async () => {
  const namespace = await freshNamespace(client);
  const object = { namespace, name: "a" };
  await client.create(configMaps, { metadata: object, data: { keep: "1", drop: "2" } });
  const patched = await client.mergePatch(configMaps, object, { data: { drop: null, add: "3" } });
  expect(patched.data).toEqual({ keep: "1", add: "3" });
});

test("a status is written apart from the spec, and only at the resourceVersion that was seen", async () => {
  const namespace = await freshNamespace(client);
  // A scheduler that does not exist: nobody else writes to this pod.
  const spec = { schedulerName: "nobody", containers: [{ name: "c", image: "none.invalid/none" }] };
  const pod = await client.create(pods, { metadata: { namespace, name: "a" }, spec });
  const respecified = { ...pod, spec: { ...spec, activeDeadlineSeconds: 5 } };
  const written = await client.replaceStatus(pods, { ...respecified, status: { ...pod.status, message: "one" } });
  expect(written.status).toMatchObject({ message: "one" });
  expect(written.spec).toEqual(pod.spec);
  const stale = await failureOf(client.replaceStatus(pods, { ...pod, status: { ...pod.status, message: "two" } }));
  expect(isConflict(stale)).toBe(true);
});

test("a deletion meets only the object that was looked at", async () => {
  const namespace = await freshNamespace(client);
  const object = { namespace, name: "a" };
  const before = (await client.create(configMaps, { metadata: object })).metadata;
  const { uid, resourceVersion } = before;
  await client.mergePatch(configMaps, object, { data: { changed: "yes" } });
  expect(
    isConflict(await failureOf(client.delete(configMaps, object, { preconditions: { uid, resourceVersion } }))),
  ).toBe(true);
  await client.delete(configMaps, object, { preconditions: { uid } });
  await client.create(configMaps, { metadata: object });
  expect(isConflict(await failureOf(client.delete(configMaps, object, { preconditions: { uid } })))).toBe(true);
  await client.delete(configMaps, object);
  const gone = await failureOf(client.get(configMaps, object));
  expect([isNotFound(gone), isNoSuchKind(gone)]).toEqual([true, false]);
});

test("a kind that is not installed says nothing of any object", async () => {
  const absent = { ...configMaps, group: "absent.example.com" };
  // One after the other: a call that fails before anybody waits for it would end the test run.
  const calls = [() => client.get(absent, { namespace: "default", name: "a" }), () => client.list(absent)];
  for (const call of calls) {
    const error = await failureOf(call());
    expect([isNotFound(error), isNoSuchKind(error)]).toEqual([false, true]);
  }
});

test("refusals say who may not do what, and which field is wrong", async ({ skip }) => {
  const namespace = await freshNamespace(client);
  const invalid = await failureOf(
    client.create(leases, { metadata: { namespace, name: "a" }, spec: { leaseDurationSeconds: -1 } }),
  );
  expect(isInvalid(invalid)).toBe(true);
  expect(invalid).toMatchObject({
    message: expect.stringMatching(
      new RegExp(`^create leases.coordination.k8s.io ${namespace}/a: 422 Invalid: .*must be greater than 0`),
    ),
    causes: [{ field: "spec.leaseDurationSeconds" }],
  });
  if (!cluster.can.has("users")) return skip("this cluster cannot make users");
  const stranger = connect(await cluster.user("stranger"));
  const refused = await failureOf(stranger.list(namespaces));
  expect(isForbidden(refused)).toBe(true);
  expect(refused).toMatchObject({
    message: expect.stringContaining('User "stranger" cannot list resource "namespaces"'),
  });
});
