import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { Label } from "../../src/api/labels.ts";
import type { Progress } from "../cluster/progress.ts";
import type { StartedCluster } from "../cluster/startCluster.ts";
import { systemKubectl } from "../scenario/platform.ts";
import { changeTemplates } from "../scenario/templates.ts";
import { type Figure, ratio, type Section } from "./figures.ts";
import { costOf, type ProcessCost } from "./processCost.ts";
import { pairedDifferences } from "./statistics.ts";
import { type Bench, byOperation } from "./ways.ts";

/** Without a path below `/tmp`, which the process node would take for the pod's own. */
const AT_EXIT = path.join(
  `/proc/${process.pid}/cwd`,
  path.relative("", import.meta.dirname),
  "preloads/costAtExit.cjs",
);

export interface RunnerRounds {
  /** Starts up to the first request. */
  readonly starts: number;
  /** Whole backups. */
  readonly backups: number;
}

/** What one runner's process costs: its start up to its first request, beside a Node that does nothing, and a whole backup. */
export async function measureRunner(
  bench: Bench & { cluster: StartedCluster },
  namespace: string,
  rounds: RunnerRounds,
  progress: Progress,
): Promise<Section> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-bench-"));
  try {
    const starts = await measureStarts(bench.cluster, folder, rounds.starts, progress);
    const whole = await measureWhole(bench, namespace, rounds.backups, progress);
    const cpu = (what: string, costs: readonly Pick<ProcessCost, "cpuMs">[], goal?: string) =>
      figure(what, "ms", costs, ({ cpuMs }) => cpuMs, goal);
    const memory = (what: string, costs: readonly Pick<ProcessCost, "peakMB">[], goal?: string) =>
      figure(what, "MB", costs, ({ peakMB }) => peakMB, goal);
    const [bareCpu, startCpu] = [cpu("bare Node, CPU", starts.bare), cpu("to its first request, CPU", starts.runner)];
    const [bareMemory, startMemory] = [
      memory("bare Node, peak memory", starts.bare),
      memory("to its first request, peak memory", starts.runner, "<= 62 MB"),
    ];
    return {
      title: "One runner",
      figures: [
        startCpu,
        bareCpu,
        {
          what: "  first request - bare Node, CPU",
          unit: "ms",
          samples: pairedDifferences(startCpu.samples, bareCpu.samples),
          goal: "<= 60 ms",
        },
        startMemory,
        bareMemory,
        ratio("  first request / bare Node, peak memory", startMemory, bareMemory),
        cpu("a whole quiet backup, CPU", whole, "<= 250 ms"),
        memory("a whole quiet backup, peak memory", whole, "<= 70 MB"),
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function figure<T>(
  what: string,
  unit: Figure["unit"],
  costs: readonly T[],
  value: (cost: T) => number,
  goal?: string,
): Figure {
  return { what, unit, samples: costs.map(value), ...(goal !== undefined && { goal }) };
}

/**
 * Starts the runner before a fake API server, which has the cluster's certificate and answers nothing: when it is asked for
 * the first time, the process has done all that it does before, and is idle. In turn with a bare Node.
 */
async function measureStarts(cluster: StartedCluster, folder: string, count: number, progress: Progress) {
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
  const env = { ...(await templateEnv()), KUBECONFIG: kubeconfig, OPERATION_NAMESPACE: "org-a", OPERATION_NAME: "b1" };
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

const costLine = z.object({ cost: z.object({ cpuMs: z.number(), peakMB: z.number() }) });

/** Whole backups, by Jobs whose runner says what it has cost when it ends. */
async function measureWhole(bench: Bench, namespace: string, count: number, progress: Progress) {
  const putBack = await changeTemplates(bench.cluster, ({ spec }) => {
    const [{ env }] = spec.template.spec.containers;
    const options = env.find(({ name }) => name === "NODE_OPTIONS") ?? { name: "NODE_OPTIONS", value: "" };
    const others = env.filter((each) => each !== options);
    const value = `${options.value} --require=${AT_EXIT}`.trim();
    env.splice(0, env.length, ...others, { ...options, value });
  });
  try {
    const costs: Pick<ProcessCost, "cpuMs" | "peakMB">[] = [];
    for (let round = 0; round < count; round++) {
      progress(`runner: whole backup ${round + 1} of ${count}`);
      const name = `runner-${round}`;
      await byOperation(bench, { namespace, name });
      await bench.sightings.until(`Job ${namespace}/${name} ended`, AbortSignal.timeout(30_000));
      const log = await systemKubectl(bench.cluster, "logs", "-l", `${Label.operationName}=${name}`, "--tail=-1");
      const line = log.split("\n").find((each) => each.startsWith('{"cost":'));
      costs.push(costLine.parse(JSON.parse(line ?? "{}")).cost);
    }
    return costs;
  } finally {
    await putBack();
  }
}
