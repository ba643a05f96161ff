import path from "node:path";
import { z } from "zod";
import { Label } from "../../src/api/labels.ts";
import type { Progress } from "../cluster/progress.ts";
import type { StartedCluster } from "../cluster/startCluster.ts";
import { systemKubectl } from "../scenario/platform.ts";
import { changeTemplates } from "../scenario/templates.ts";
import { type Figure, ratio, type Section } from "./figures.ts";
import type { ProcessCost } from "./processCost.ts";
import { measureStarts } from "./runnerStart.ts";
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
  const starts = await measureStarts(bench.cluster, rounds.starts, progress);
  const whole = await measureWhole(bench, namespace, rounds.backups, progress);
  const startCpu = cpu("to its first request, CPU", starts.runner);
  const bareCpu = cpu("bare Node, CPU", starts.bare);
  const startMemory = peak("to its first request, peak memory", starts.runner);
  const bareMemory = peak("bare Node, peak memory", starts.bare);
  const above = pairedDifferences(startCpu.samples, bareCpu.samples);
  return {
    title: "One runner",
    figures: [
      startCpu,
      bareCpu,
      { what: "  first request - bare Node, CPU", unit: "ms", samples: above, goal: "<= 60 ms" },
      { ...startMemory, goal: "<= 62 MB" },
      bareMemory,
      ratio("  first request / bare Node, peak memory", startMemory, bareMemory),
      { ...cpu("a whole quiet backup, CPU", whole), goal: "<= 250 ms" },
      { ...peak("a whole quiet backup, peak memory", whole), goal: "<= 70 MB" },
    ],
  };
}

function cpu(what: string, costs: readonly Pick<ProcessCost, "cpuMs">[]): Figure {
  return { what, unit: "ms", samples: costs.map(({ cpuMs }) => cpuMs) };
}

function peak(what: string, costs: readonly Pick<ProcessCost, "peakMB">[]): Figure {
  return { what, unit: "MB", samples: costs.map(({ peakMB }) => peakMB) };
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
