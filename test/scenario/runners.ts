import { readFile } from "node:fs/promises";
import path from "node:path";
import { Label } from "../../src/api/labels.ts";
import type { Operation } from "../../src/api/operation.ts";
import { type KubeObject, kubeObjectSchema } from "../../src/kube/metadata.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { run } from "../cluster/run.ts";
import { listObjects } from "./operations.ts";
import { SYSTEM_NAMESPACE } from "./platform.ts";

/** The Jobs and pods that work on an Operation. */

/** Every Job that was made for it by the dispatcher. */
export async function jobsOf(cluster: Cluster, { metadata }: Operation): Promise<KubeObject[]> {
  return await listObjects(cluster, ["jobs", "-n", SYSTEM_NAMESPACE, "-l", `${Label.operation}=${metadata.uid}`]);
}

/** The name of the one pod that works on it now. */
export async function runnerPodOf(cluster: Cluster, namespace: string, name: string): Promise<string> {
  const selector = `${Label.operationNamespace}=${namespace},${Label.operationName}=${name}`;
  const running = ["-l", selector, "--field-selector=status.phase=Running"];
  const [pod, ...others] = await listObjects(cluster, ["pods", "-n", SYSTEM_NAMESPACE, ...running]);
  if (pod === undefined || others.length > 0) throw new Error(`${namespace}/${name}: not exactly one pod is running`);
  return pod.metadata.name;
}

/** The ways in which the README has a Job made by hand, each with what of its command stands for the reader's own. */
const WAYS = {
  "from the template": /kubectl get cm operation-jobs.*\n.*\n.*kubectl create.*/,
  "in the place of the old one": /kubectl get job .*\n(?:.*\n)+?.*kubectl replace --force.*/,
  "beside the old one": /kubectl get job .*\n(?:(?!.*replace).*\n)+?.*kubectl create.*/,
} as const;

export type Way = keyof typeof WAYS;

/**
 * Runs a command by which the README has a Job made by hand: in a shell, with nothing replaced but the names. The old Job
 * is that of the first attempt, which the dispatcher made.
 *
 * @returns the Job
 */
export async function jobByHand(
  cluster: Cluster,
  { metadata: { namespace = "", name }, status }: Operation,
  way: Way,
): Promise<KubeObject> {
  const [command = ""] = WAYS[way].exec(await readFile("README.md", "utf8")) ?? [];
  const script = command
    .replace(/OPERATION_NAMESPACE=\S+ OPERATION_NAME=\S+/, `OPERATION_NAMESPACE=${namespace} OPERATION_NAME=${name}`)
    .replace(/get job \S+/, `get job ${status?.history?.[0]?.jobName ?? status?.runner?.jobName}`)
    .replace(/"name": "[^"]+"/, `"name": "${name}-beside"`);
  if (script === command) throw new Error(`the README has no such command any more: ${way}`);
  // kubectl keeps what it knows of a cluster in a folder, which must not be this one or the user's own.
  const KUBECACHEDIR = path.join(path.dirname(cluster.kubeconfig), "kubectl-cache");
  const PATH = `${cluster.programs}:${process.env.PATH}`;
  const env = { PATH, KUBECONFIG: cluster.kubeconfig, KUBECACHEDIR, KUBERC: "off" };
  const made = await run("sh", ["-c", script], { env });
  const [, job] = /^job\.batch\/(\S+) (?:created|replaced)$/m.exec(made.stdout) ?? [];
  if (made.code !== 0 || job === undefined) throw new Error(`${script}: ${made.stdout}${made.stderr}`);
  const answer = await cluster.kubectl(["get", "job", job, "-n", SYSTEM_NAMESPACE, "-o", "json"]);
  return kubeObjectSchema.parse(JSON.parse(answer.stdout));
}

/** What the runner of a Job left as its pod's termination message. */
export async function lastWordsOf(cluster: Cluster, { metadata }: KubeObject): Promise<unknown> {
  const pods = ["pods", "-n", SYSTEM_NAMESPACE, "-l", `${Label.jobName}=${metadata.name}`];
  const message = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}";
  return JSON.parse((await cluster.kubectl(["get", ...pods, "-o", message])).stdout);
}
