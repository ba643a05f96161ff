import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { storageLocations } from "../../src/api/velero.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { bundle } from "../cluster/embedded/bundle.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";
import { identityOf } from "../scenario/byHand.ts";
import { adminClient } from "../scenario/client.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { type Dispatcher, startDispatcher } from "./dispatcherProcess.ts";
import { imageEnv } from "./imageEnv.ts";

/** A control plane with everything installed as it is shipped, and nothing that runs pods. */
export interface ControlPlane {
  readonly client: KubeClient;
  /** Starts the dispatcher, with the rights and the environment that the manifests give it, and these settings. */
  startDispatcher(settings?: NodeJS.ProcessEnv): Promise<Dispatcher>;
  down(): Promise<void>;
}

/** Starts it, with a storage location that says of itself that it is Available. */
export async function startControlPlane(): Promise<ControlPlane> {
  const cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-bench-"));
  const down = async () => {
    await cluster.down();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const manifests of ["manifests/velero", "manifests/components/application-instance-crd", "manifests"]) {
      await cluster.apply(manifests);
    }
    await waitFor(cluster, ["crd", "--all"], "condition=Established");
    const client = adminClient(cluster);
    await client.create(storageLocations, {
      metadata: { namespace: VELERO_NAMESPACE, name: "default" },
      spec: { default: true, provider: "aws", objectStorage: { bucket: "none" } },
      status: { phase: "Available" },
    });
    const program = await bundle(path.join(folder, "program"));
    const env = await dispatcherEnv(cluster, path.join(folder, "kubeconfig"));
    return { client, startDispatcher: (settings = {}) => startDispatcher(program, { ...env, ...settings }), down };
  } catch (error) {
    await down();
    throw error;
  }
}

const deployments = z.object({
  items: z.tuple([
    z.object({
      spec: z.object({
        template: z.object({
          spec: z.object({
            containers: z.tuple([
              z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) }),
            ]),
          }),
        }),
      }),
    }),
  ]),
});

/** What the Deployment sets, without its settings file: that is as good as empty where it is shipped. */
async function dispatcherEnv(cluster: StartedCluster, kubeconfig: string): Promise<NodeJS.ProcessEnv> {
  const { server, token } = await identityOf(cluster, "operation-dispatcher");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "cluster",
        cluster: { server: server.url, "certificate-authority-data": Buffer.from(server.ca).toString("base64") },
      },
    ],
    users: [{ name: "dispatcher", user: { token } }],
    contexts: [{ name: "dispatcher", context: { cluster: "cluster", user: "dispatcher" } }],
    "current-context": "dispatcher",
  };
  await writeFile(kubeconfig, stringify(config), { mode: 0o600 });
  const component = ["-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=dispatcher"];
  const answer = await cluster.kubectl(["get", "deployments", ...component, "-o", "json"]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  const [{ spec }] = deployments.parse(JSON.parse(answer.stdout)).items;
  const [{ env }] = spec.template.spec.containers;
  const said = env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]));
  const { OPERATION_RUNNER_SETTINGS: _file, ...rest } = Object.fromEntries(said);
  return {
    ...(await imageEnv()),
    ...rest,
    KUBECONFIG: kubeconfig,
    POD_NAMESPACE: SYSTEM_NAMESPACE,
    POD_NAME: "dispatcher",
  };
}
