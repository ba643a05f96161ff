import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Access } from "../access.ts";
import { known, listAll, read } from "./kubernetesObjects.ts";
import { TEST_NAMESPACE } from "./objectStore.ts";

/**
 * What the tests leave in a cluster that they share. It is recognized by not having been there before they came: they
 * install what users do, by the same manifests, and nothing in those says that it was a test.
 */

const pollMs = 500;
/** For a busy machine; whatever still holds on is for a person to look at. */
const patienceMs = 300_000;
const RECORD = "before-the-tests";

/** Of what has no namespace, the kinds that the tests make. */
const made = [
  "validatingadmissionpolicies.admissionregistration.k8s.io",
  "validatingadmissionpolicybindings.admissionregistration.k8s.io",
  "mutatingadmissionpolicies.admissionregistration.k8s.io",
  "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
  "namespaces",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "persistentvolumes",
  "priorityclasses.scheduling.k8s.io",
  "storageclasses.storage.k8s.io",
  "volumesnapshotclasses.snapshot.storage.k8s.io",
  "volumesnapshotcontents.snapshot.storage.k8s.io",
  "customresourcedefinitions.apiextensions.k8s.io",
];

/** What has a finalizer for a program that is removed at the same time. */
const guarded = [
  "restores.velero.io",
  "volumesnapshots.snapshot.storage.k8s.io",
  "volumesnapshotcontents.snapshot.storage.k8s.io",
  "persistentvolumeclaims",
];

const record = z.object({ data: z.object({ objects: z.string() }) });

/** Writes down, once, what is there before the tests come. Throws when something of what they install is there already. */
export async function rememberBefore(access: Access): Promise<void> {
  if ((await read(access, record, "configmap", TEST_NAMESPACE, RECORD)) !== undefined) return;
  const objects = await present(access);
  const theirs = objects.filter((name) => /^namespaces\/(velero|vworkspace-system)$|\.ops\.vworkspace\.io$/.test(name));
  if (theirs.length > 0) {
    throw new Error(
      `the tests would remove what is installed here already (${theirs.join(", ")}): they need another cluster`,
    );
  }
  const metadata = { name: RECORD, namespace: TEST_NAMESPACE };
  await access.apply([{ apiVersion: "v1", kind: "ConfigMap", metadata, data: { objects: objects.join("\n") } }]);
}

/**
 * Removes everything that was not there before the tests came; resolves when it is gone.
 *
 * @throws Error that names what is still there after five minutes
 */
export async function removeTraces(access: Access): Promise<void> {
  const before = await read(access, record, "configmap", TEST_NAMESPACE, RECORD);
  const theirs = new Set(before?.data.objects.split("\n"));
  if (!theirs.has("namespaces/kube-system"))
    throw new Error("nobody wrote down what was in the cluster before the tests");
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const ours = (await present(access)).filter((name) => !theirs.has(name));
    if (ours.length === 0) return;
    if (performance.now() > deadline) throw new Error(`an earlier test's ${ours.join(", ")} cannot be removed`);
    await endPods(access, ours);
    // What is refused (by a policy that goes with the rest) or not known any more is for the next round.
    await access.kubectl(["delete", "--wait=false", "--ignore-not-found", ...ours]);
    await release(access);
    await sleep(pollMs);
  }
}

/** All objects of the kinds that the tests make, each as `resource.group/name`. */
async function present(access: Access): Promise<string[]> {
  const found = (await known(access, made)).map(async (resource) =>
    (await listAll(access, resource)).map(({ metadata }) => `${resource}/${metadata.name}`),
  );
  return (await Promise.all(found)).flat();
}

/** A namespace is gone only after its pods, and those would be given half a minute. */
async function endPods(access: Access, ours: readonly string[]): Promise<void> {
  const pods = await listAll(access, "pods");
  const namespaces = new Set(pods.map(({ metadata }) => metadata.namespace ?? ""));
  for (const namespace of namespaces) {
    if (!ours.includes(`namespaces/${namespace}`)) continue;
    await access.kubectl(["delete", "pods", "--all", "-n", namespace, "--grace-period=1", "--wait=false"]);
  }
}

async function release(access: Access): Promise<void> {
  for (const resource of await known(access, guarded)) {
    for (const { metadata } of await listAll(access, resource)) {
      if (metadata.deletionTimestamp === undefined || !metadata.finalizers?.length) continue;
      const where = metadata.namespace === undefined ? [] : ["-n", metadata.namespace];
      const patch = ["--type=merge", "-p", '{"metadata":{"finalizers":null}}'];
      await access.kubectl(["patch", resource, metadata.name, ...where, ...patch]);
    }
  }
}
