import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { z } from "zod";
import { storageLocations } from "../../src/api/velero.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { bundle } from "../cluster/embedded/bundle.ts";
import { freePort } from "../cluster/embedded/component.ts";
import type { Progress } from "../cluster/progress.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";
import { identityOf } from "../scenario/byHand.ts";
import { adminClient } from "../scenario/client.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { costOf, type ProcessCost } from "./processCost.ts";

const LAG = path.join(import.meta.dirname, "preloads", "eventLoopLag.cjs");
/** A machine that is busy with other things has all the time it needs. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 50;

/** How late the event loop was, in milliseconds. */
const lag = z.object({ p99: z.number(), worst: z.number() });
export type Lag = z.infer<typeof lag>;

/** A control plane with everything installed as it is shipped, and nothing that runs pods. */
export interface ControlPlane {
  readonly client: KubeClient;
  readonly cluster: StartedCluster;
  /** Starts the dispatcher, with the rights and the environment that the manifests give it. */
  startDispatcher(): Promise<Dispatcher>;
  down(): Promise<void>;
}

/** The bundled dispatcher, as a process of its own. */
export interface Dispatcher {
  /** When it was started, on this process's clock. */
  readonly startedAt: number;
  /** Resolves when it says that it is ready; rejects when it ends before that. */
  ready(): Promise<void>;
  cost(): Promise<ProcessCost>;
  /** How late its event loop was since the last time that this was asked. */
  lag(): Promise<Lag>;
  stop(): Promise<void>;
}

/** Starts it, with a storage location that says of itself that it is Available. */
export async function startControlPlane(progress: Progress): Promise<ControlPlane> {
  const cluster = await startCluster({ tier: "api", env: process.env, progress });
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
    return { client, cluster, startDispatcher: () => startDispatcher(program, env), down };
  } catch (error) {
    await down();
    throw error;
  }
}

async function startDispatcher(program: string, env: NodeJS.ProcessEnv): Promise<Dispatcher> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["--require", LAG, program, "dispatcher"], {
    env: { PATH: process.env.PATH, ...env, OPERATION_RUNNER_LISTEN: `127.0.0.1:${port}` },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const errors: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  const ended = once(child, "exit");
  const pid = child.pid ?? 0;
  return {
    startedAt,
    async ready() {
      for (const signal = AbortSignal.timeout(PATIENCE_MS); ; await delay(LOOK_MS, undefined, { signal })) {
        if (child.exitCode !== null) throw new Error(`the dispatcher ended with ${child.exitCode}: ${errors.join("")}`);
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
        if (answer?.ok) return;
      }
    },
    cost: () => costOf(pid),
    lag: () => askLag(child),
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function askLag(child: ChildProcess): Promise<Lag> {
  const answer = once(child, "message", { signal: AbortSignal.timeout(PATIENCE_MS) });
  child.send("lag");
  return lag.parse((await answer)[0]);
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
  return { ...rest, KUBECONFIG: kubeconfig, POD_NAMESPACE: SYSTEM_NAMESPACE, POD_NAME: "dispatcher" };
}
