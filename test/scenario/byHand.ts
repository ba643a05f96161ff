import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { Label } from "../../src/api/labels.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { type Job, jobs } from "../../src/kube/resources.ts";
import { awaitCondition } from "../../src/kube/wait.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Identity } from "../faults/program.ts";
import { operationThat, patience } from "./client.ts";
import { SYSTEM_NAMESPACE } from "./platform.ts";
import { changeTemplates } from "./templates.ts";

/** For tests that run the runner's program themselves, where a kubelet would. */

const kubeconfig = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), "certificate-authority-data": z.string() }) }),
  ]),
});

/** A fresh token of a ServiceAccount of ours, and the API server it is for. */
export async function identityOf(cluster: Cluster, serviceAccount: string): Promise<Identity> {
  const token = await cluster.kubectl(["create", "token", serviceAccount, "-n", SYSTEM_NAMESPACE, "--duration=2h"]);
  if (token.code !== 0) throw new Error(token.stderr);
  const [{ cluster: api }] = kubeconfig.parse(parse(await readFile(cluster.kubeconfig, "utf8"))).clusters;
  const ca = Buffer.from(api["certificate-authority-data"], "base64").toString();
  return { server: { url: api.server, ca }, token: token.stdout.trim() };
}

/** The Job that the dispatcher makes for an Operation, once it is there. */
export async function jobOf(client: KubeClient, namespace: string, name: string): Promise<Job> {
  const operation = await operationThat(
    client,
    { namespace, name },
    ({ status }) => status?.runner?.jobName !== undefined,
  );
  const at = { namespace: SYSTEM_NAMESPACE, name: operation.status?.runner?.jobName ?? "" };
  const job = await awaitCondition(client, jobs, at, (found) => found !== undefined, patience());
  if (job === undefined) throw new Error(`no Job ${at.name}`);
  return job;
}

/** The environment that a kubelet would give to a pod of this Job. */
export function runnerEnv(job: Job, namespace: string, name: string): NodeJS.ProcessEnv {
  return {
    OPERATION_NAMESPACE: namespace,
    OPERATION_NAME: name,
    OPERATION_UID: job.metadata.labels?.[Label.operation],
    JOB_NAME: job.metadata.name,
    JOB_UID: job.metadata.uid,
    POD_NAME: `${job.metadata.name}-by-hand`,
    POD_NAMESPACE: SYSTEM_NAMESPACE,
    VELERO_NAMESPACE: "velero",
    TERMINATION_MESSAGE_PATH: "/dev/null",
  };
}

/**
 * From now on the Jobs' pods stay Pending, so that a test can run the program in their stead.
 *
 * @returns lets Jobs run by themselves again
 */
export async function holdJobs(cluster: Cluster): Promise<() => Promise<void>> {
  return await changeTemplates(cluster, ({ spec }) => {
    spec.template.spec.nodeSelector = { "operation-runner.test/held": "true" };
  });
}
