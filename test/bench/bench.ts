import { access, constants, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { duration, type Progress, printProgress } from "../cluster/progress.ts";
import { startCluster } from "../cluster/startCluster.ts";
import { adminClient } from "../scenario/client.ts";
import { installPlatform } from "../scenario/platform.ts";
import { measureBurst } from "./burst.ts";
import type { Section } from "./figures.ts";
import { type Flags, parseFlags, type SectionName, USAGE, UsageError } from "./flags.ts";
import { measureLatency } from "./latency.ts";
import { noteCircumstances } from "./machine.ts";
import { measureMemory } from "./memory.ts";
import { plotWaiting } from "./plot.ts";
import { type EarlierReport, jsonReport, parseReport, type Report, tableReport } from "./report.ts";
import { measureRequests } from "./requests.ts";
import { measureRunner } from "./runner.ts";
import { Sightings } from "./sightings.ts";
import { createTeams } from "./teams.ts";
import { measureWaiting } from "./waiting.ts";

/** How much of everything: less makes a run shorter, and its figures less sure. */
const FULL = {
  latencyRounds: 10,
  requestRounds: 5,
  runner: { starts: 20, backups: 10 },
  burst: { teams: 25, rounds: 2, limitMs: 90_000 },
  waiting: { numbers: [100, 500, 2_000, 5_000, 10_000], windowMs: 20_000 },
  memory: { finished: 10_000, waiting: 2_000 },
};
const QUICK: typeof FULL = {
  latencyRounds: 3,
  requestRounds: 3,
  runner: { starts: 5, backups: 3 },
  burst: { teams: 25, rounds: 1, limitMs: 30_000 },
  waiting: { numbers: [100, 500], windowMs: 8_000 },
  memory: { finished: 1_000, waiting: 200 },
};

/** What Velero and the runners really do: everything installed as it is shipped. */
async function onWholeCluster(flags: Flags, size: typeof FULL, progress: Progress): Promise<Section[]> {
  const wanted = (["latency", "requests", "runner", "burst"] as const).filter((name) => flags.sections.has(name));
  if (wanted.length === 0) return [];
  const cluster = await startCluster({ tier: "full", env: process.env, progress });
  try {
    await installPlatform(cluster, progress);
    const client = adminClient(cluster);
    const sightings = new Sightings(client);
    try {
      const bench = { cluster, client, sightings };
      const teams = await createTeams(client, "org", size.burst.teams);
      const [first = ""] = teams;
      const measure: Record<(typeof wanted)[number], () => Promise<Section>> = {
        latency: () => measureLatency(bench, first, size.latencyRounds, progress),
        requests: () => measureRequests(bench, first, size.requestRounds, progress),
        runner: () => measureRunner(bench, first, size.runner, progress),
        burst: () => measureBurst(bench, teams, size.burst, progress),
      };
      const sections: Section[] = [];
      for (const name of wanted) sections.push(...(await attempted(name, measure[name], progress)));
      return sections;
    } finally {
      await sightings.close();
    }
  } finally {
    await cluster.down();
  }
}

/** What cannot be measured is said, fails the run at its end, and costs nobody the figures of the others. */
async function attempted<T>(name: SectionName, work: () => Promise<T>, progress: Progress): Promise<T[]> {
  try {
    return [await work()];
  } catch (error) {
    progress(`${name} could not be measured: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
    return [];
  }
}

async function measureAll(flags: Flags, progress: Progress): Promise<Report> {
  const size = flags.quick ? QUICK : FULL;
  const circumstances = await noteCircumstances(flags.quick);
  const sections = await onWholeCluster(flags, size, progress);
  const alone = async <T>(name: SectionName, work: () => Promise<T>) =>
    flags.sections.has(name) ? await attempted(name, work, progress) : [];
  const [waiting = []] = await alone("waiting", () => measureWaiting(size.waiting, progress));
  sections.push(...(await alone("memory", () => measureMemory(size.memory, progress))));
  return { circumstances: circumstances(), sections, waiting };
}

/** Before the long work: what could not be written or read after it. */
async function checkFiles({ json, plot, before }: Flags): Promise<EarlierReport | undefined> {
  for (const [flag, file] of Object.entries({ json, plot })) {
    if (file === undefined) continue;
    await access(path.dirname(path.resolve(file)), constants.W_OK).catch(() => {
      throw new UsageError(`--${flag} is "${file}", and has to be in a folder that can be written to`);
    });
  }
  if (before === undefined) return undefined;
  try {
    return parseReport(await readFile(before, "utf8"));
  } catch (error) {
    throw new UsageError(`--before is "${before}": ${error instanceof Error ? error.message : error}`);
  }
}

async function main(args: string[]): Promise<void> {
  const flags = parseFlags(args);
  if (flags.help) return console.log(USAGE);
  const before = await checkFiles(flags);
  const began = performance.now();
  const print = printProgress(process.stderr);
  const report = await measureAll(flags, (line) =>
    print(`[${duration(performance.now() - began).padStart(12)}] ${line}`),
  );
  console.log(tableReport(report, before));
  if (flags.json !== undefined) await writeFile(flags.json, jsonReport(report));
  if (flags.plot !== undefined) await writeFile(flags.plot, plotWaiting(report.waiting, before?.waiting));
}

try {
  await main(process.argv.slice(2));
  // Connections that are kept alive must not keep a finished run alive.
  process.exit();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
  else console.error(error instanceof Error ? error.message : error);
  process.exit(error instanceof UsageError ? 64 : 1);
}
