import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import type { Progress } from "../cluster/progress.ts";
import type { StartedCluster } from "../cluster/startCluster.ts";
import { imageEnv } from "./imageEnv.ts";
import { costOf, type ProcessCost } from "./processCost.ts";

/** One for each round. */
export interface Starts {
  readonly runner: readonly ProcessCost[];
  readonly bare: readonly ProcessCost[];
}

/**
 * Starts the runner before a fake API server, which has the cluster's certificate and answers nothing: when it is asked for
 * the first time, the process has done all that it does before, and is idle. In turn with a bare Node.
 */
export async function measureStarts(cluster: StartedCluster, count: number, progress: Progress): Promise<Starts> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-bench-"));
  const pki = path.join(cluster.connection.folder, "pki");
  const [cert, key] = [
    await readFile(path.join(pki, "apiserver.crt")),
    await readFile(path.join(pki, "apiserver.key")),
  ];
  const server = createServer({ cert, key });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const kubeconfig = path.join(folder, "kubeconfig");
  await writeFile(path.join(folder, "token"), "token");
  await writeFile(kubeconfig, stringify(podKubeconfig(`https://127.0.0.1:${port}`, path.join(pki, "ca.crt"))));
  const request = { OPERATION_NAMESPACE: "org-a", OPERATION_NAME: "b1" };
  const env = { ...(await imageEnv()), ...(await templateEnv()), ...request, KUBECONFIG: kubeconfig };
  const program = path.join(cluster.connection.folder, "operation-runner", "operation-runner.js");
  const runner: ProcessCost[] = [];
  const bare: ProcessCost[] = [];
  try {
    for (let round = 0; round < count; round++) {
      if (round % 5 === 0) progress(`runner: start ${round + 1} of ${count}`);
      runner.push(await costAt([program, "run"], env, () => once(server, "request")));
      const waits = "process.stdout.write('up'); setInterval(() => {}, 2 ** 30);";
      bare.push(await costAt(["-e", waits], {}, (stdout) => once(stdout, "data")));
    }
    return { runner, bare };
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs Node until that moment, and ends it there. */
async function costAt(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  moment: (stdout: NodeJS.ReadableStream) => Promise<unknown>,
): Promise<ProcessCost> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  child.stderr.on("data", (chunk) => output.push(String(chunk)));
  child.stdout.on("data", (chunk) => output.push(String(chunk)));
  const ended = once(child, "close");
  try {
    const early = ended.then(() => Promise.reject(new Error(`${args.join(" ")} ended early: ${output.join("")}`)));
    await Promise.race([moment(child.stdout), early]);
    return await costOf(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** As a pod's own service account is described to it. */
function podKubeconfig(server: string, ca: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster: { server, "certificate-authority": ca } }],
    users: [{ name: "pod", user: { tokenFile: "token" } }],
    contexts: [{ name: "pod", context: { cluster: "cluster", user: "pod", namespace: "vworkspace-system" } }],
    "current-context": "pod",
  };
}

const template = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.tuple([z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) })]),
      }),
    }),
  }),
});

/** What the shipped template sets to the same for every runner. */
async function templateEnv(): Promise<NodeJS.ProcessEnv> {
  const { spec } = template.parse(parse(await readFile("jobs/backup.yaml", "utf8")));
  const [{ env }] = spec.template.spec.containers;
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}
