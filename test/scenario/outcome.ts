import { createHash } from "node:crypto";
import { Label } from "../../src/api/labels.ts";
import type { Operation } from "../../src/api/operation.ts";
import { HEALTH } from "../../src/api/status.ts";
import type { KubeObject } from "../../src/kube/metadata.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { listObjects, readOperation } from "./operations.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "./platform.ts";

/** What came of an Operation, and what is left of it in Velero's namespace and in the object store. */

/** Waits for a phase, or for any other condition that `kubectl wait` knows, and reads the Operation. */
export async function awaitOperation(
  cluster: Cluster,
  namespace: string,
  name: string,
  condition: string,
): Promise<Operation> {
  await waitFor(cluster, [`operation/${name}`, "-n", namespace], condition);
  return await readOperation(cluster, namespace, name);
}

/** What {@link awaitOperation} waits for: the phase. */
export function phaseIs(phase: string): string {
  return `jsonpath={.status.phase}=${phase}`;
}

/** All conditions but those that repeat another for other tools, `{ Running: "False/Pending", ... }`. */
export function conditionsOf({ status }: Operation): Record<string, string> {
  return Object.fromEntries(
    (status?.conditions ?? [])
      .filter(({ type }) => !HEALTH.has(type))
      .map(({ type, status: is, reason }) => [type, `${is}/${reason}`]),
  );
}

/** The message of one condition; empty when the Operation has no such condition. */
export function messageOf({ status }: Operation, type: string): string {
  return status?.conditions?.find((condition) => condition.type === type)?.message ?? "";
}

/** Asks for something by annotation, as a user does; `null` takes it away. */
export async function annotate(
  cluster: Cluster,
  namespace: string,
  name: string,
  annotations: Record<string, string | null>,
): Promise<void> {
  const patch = JSON.stringify({ metadata: { annotations } });
  const args = ["patch", `operation/${name}`, "-n", namespace, "--type=merge", "-p", patch];
  const answer = await cluster.kubectl(args);
  if (answer.code !== 0) throw new Error(answer.stderr);
}

export const CANCEL = { "ops.vworkspace.io/cancel": "true" };

/** Velero's objects that carry the UID of this Operation. */
export async function veleroObjectsOf(cluster: Cluster, { metadata }: Operation): Promise<KubeObject[]> {
  const kinds = "backups.velero.io,restores.velero.io,deletebackuprequests.velero.io";
  return await listObjects(cluster, [kinds, "-n", VELERO_NAMESPACE, "-l", `${Label.operation}=${metadata.uid}`]);
}

/** Waits until the one Job of an Operation shows a condition. */
export async function awaitJob(cluster: Cluster, { metadata }: Operation, condition: string): Promise<void> {
  const job = ["jobs", "-n", SYSTEM_NAMESPACE, "-l", `${Label.operation}=${metadata.uid}`];
  await waitFor(cluster, job, `condition=${condition}`);
}

/** Every file under a prefix with a digest of its content: equal when nothing was touched. */
export async function filesUnder(cluster: Cluster, prefix: string): Promise<Record<string, string>> {
  const files = await cluster.objectStore.list(prefix);
  const digests = files.map(async ({ key }) => {
    const content = (await cluster.objectStore.read(key)) ?? Buffer.alloc(0);
    return [key, createHash("sha256").update(content).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(digests));
}
