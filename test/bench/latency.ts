import type { Progress } from "../cluster/progress.ts";
import { type Figure, ratio, type Section } from "./figures.ts";
import {
  type Bench,
  byBackup,
  byFakePoller,
  byKubectlBackup,
  byKubectlOperation,
  byOperation,
  byVeleroCli,
  type Wish,
} from "./ways.ts";

/** The ways to one backup, each with what is said of it. */
const WAYS = {
  operation: { what: "Operation created -> ended", go: byOperation },
  veleroCli: { what: "velero backup create --wait", go: byVeleroCli },
  backup: { what: "plain Backup created -> ended", go: byBackup },
  kubectlBackup: { what: "kubectl apply + kubectl wait, plain Backup", go: byKubectlBackup },
  kubectlOperation: { what: "kubectl apply + kubectl wait, Operation", go: byKubectlOperation },
  poller: { what: "fake operator that polls every 5 s", go: byFakePoller },
} as const;
type Way = keyof typeof WAYS;

/** A part of an Operation's time. */
interface Parts {
  readonly jobToBackup: number;
  readonly veleroToOperation: number;
}

/**
 * How long one backup of one small namespace takes while nothing else is asked for: by an Operation, and by each of the ways
 * that there are without it. All of them in each round, in an order that moves on with the rounds.
 */
export async function measureLatency(
  bench: Bench,
  namespace: string,
  rounds: number,
  progress: Progress,
): Promise<Section> {
  const ways = Object.keys(WAYS) as Way[];
  const times: Record<Way, number[]> = {
    operation: [],
    veleroCli: [],
    backup: [],
    kubectlBackup: [],
    kubectlOperation: [],
    poller: [],
  };
  const parts: Parts[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`latency: round ${round + 1} of ${rounds}`);
    for (let turn = 0; turn < ways.length; turn++) {
      const way = ways[(round + turn) % ways.length] as Way;
      const wish = { namespace, name: `latency-${round}-${way.toLowerCase()}` };
      const began = performance.now();
      await WAYS[way].go(bench, wish);
      times[way].push(performance.now() - began);
      if (way === "operation") parts.push(await partsOf(bench, wish));
      if (way === "kubectlOperation") await jobEnded(bench, wish);
    }
  }
  const figure = (way: Way): Figure => ({ what: WAYS[way].what, unit: "ms", samples: times[way] });
  const part = (what: string, key: keyof Parts, goal: string): Figure => {
    return { what, unit: "ms", samples: parts.map((each) => each[key]), goal };
  };
  const { operation, veleroCli, backup, kubectlBackup, kubectlOperation, poller } = Object.fromEntries(
    ways.map((way) => [way, figure(way)]),
  ) as Record<Way, Figure>;
  return {
    title: "One quiet backup",
    figures: [
      operation,
      veleroCli,
      ratio("  Operation / velero CLI", operation, veleroCli, "<= 1.4 x"),
      backup,
      ratio("  Operation / plain Backup", operation, backup),
      kubectlOperation,
      kubectlBackup,
      ratio("  Operation / plain Backup, both by kubectl", kubectlOperation, kubectlBackup),
      poller,
      ratio("  Operation / fake poller", operation, poller),
      part("Job created -> Backup created", "jobToBackup", "<= 150 ms"),
      part("Velero done -> Operation ended", "veleroToOperation", "<= 80 ms, 95 %: <= 150 ms"),
    ],
  };
}

async function partsOf(bench: Bench, wish: Wish): Promise<Parts> {
  const { sightings } = bench;
  const operation = `${wish.namespace}/${wish.name}` as const;
  await jobEnded(bench, wish);
  const at = async (sighting: Parameters<typeof sightings.at>[0]) =>
    sightings.at(sighting) ?? (await sightings.until(sighting, AbortSignal.timeout(30_000)));
  const [job, backup] = [await at(`Job ${operation} there`), await at(`Backup ${wish.name} there`)];
  const [done, ended] = [await at(`Backup ${wish.name} ended`), await at(`Operation ${operation} ended`)];
  return { jobToBackup: backup - job, veleroToOperation: ended - done };
}

/** What an Operation leaves to be done is done, and disturbs nobody who comes next. */
async function jobEnded({ sightings }: Bench, { namespace, name }: Wish): Promise<void> {
  await sightings.until(`Job ${namespace}/${name} ended`, AbortSignal.timeout(30_000));
}
