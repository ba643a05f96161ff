import { operations } from "../../src/api/operation.ts";
import { backups } from "../../src/api/velero.ts";
import { duration, type Progress, withHeartbeat } from "../cluster/progress.ts";
import { backupOperation } from "../scenario/operations.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";
import { type Figure, ratio, type Section } from "./figures.ts";
import type { Sighting } from "./sightings.ts";
import { type Bench, plainBackup, type Wish } from "./ways.ts";

export interface BurstSize {
  /** How often each side has its turn. */
  readonly rounds: number;
  /** What is not over by then is cut off. */
  readonly limitMs: number;
}

type Side = "Operation" | "Backup";

interface Turn {
  readonly asked: number;
  readonly seconds: number;
  readonly ended: number;
  readonly failed: number;
}

/**
 * All teams ask for a backup in the same moment: by Operations, then by plain Backups of Velero's, in turn. Each turn begins
 * with a Velero that has just started and has nothing to do.
 */
export async function measureBurst(
  bench: Bench,
  teams: readonly string[],
  { rounds, limitMs }: BurstSize,
  progress: Progress,
): Promise<Section> {
  const turns: Record<Side, Turn[]> = { Operation: [], Backup: [] };
  for (let round = 0; round < rounds; round++) {
    const sides: readonly Side[] = round % 2 === 0 ? ["Operation", "Backup"] : ["Backup", "Operation"];
    for (const side of sides) {
      await freshVelero(bench);
      const wishes = teams.map((namespace, at) => ({ namespace, name: `burst-${round}-${side.toLowerCase()}-${at}` }));
      const say: Progress = (line) => progress(`burst ${round + 1} of ${rounds}: ${line}`);
      turns[side].push(await takeTurn(bench, side, wishes, limitMs, say));
    }
  }
  const { Operation: ours, Backup: plain } = turns;
  const [count, ofOurs, ofPlain] = [teams.length, timeFigure("Operations", ours), timeFigure("plain Backups", plain)];
  const [ourRate, plainRate] = [rateFigure("Operations", ours), rateFigure("plain Backups", plain)];
  return {
    title: `${count} teams at once`,
    figures: [
      { ...ofOurs, goal: "<= 25 s" },
      ofPlain,
      ourRate,
      plainRate,
      ratio("  Operations / plain Backups, per second", ourRate, plainRate, "> 1 x"),
    ],
  };
}

async function takeTurn(
  bench: Bench,
  side: Side,
  wishes: readonly Wish[],
  limitMs: number,
  progress: Progress,
): Promise<Turn> {
  const { sightings } = bench;
  const asked = wishes.length;
  const sighting = ({ namespace, name }: Wish, state: "ended" | "failed"): Sighting =>
    side === "Operation" ? `Operation ${namespace}/${name} ${state}` : `Backup ${name} ${state}`;
  const count = (state: "ended" | "failed") =>
    wishes.filter((wish) => sightings.at(sighting(wish, state)) !== undefined).length;
  const signal = AbortSignal.timeout(limitMs);
  const began = performance.now();
  const describe = (elapsed: string) => `${count("ended")} of ${asked} ${side}s ended after ${elapsed}`;
  const ends = await withHeartbeat(progress, describe, async () => {
    await Promise.all(wishes.map((wish) => create(bench, side, wish)));
    return await Promise.allSettled(wishes.map((wish) => sightings.until(sighting(wish, "ended"), signal)));
  });
  const last = Math.max(...ends.map((end) => (end.status === "fulfilled" ? end.value : began + limitMs)));
  return { asked, seconds: (last - began) / 1000, ended: count("ended"), failed: count("failed") };
}

function timeFigure(what: string, turns: readonly Turn[]): Figure {
  const notes = turns.flatMap(({ seconds, asked, ended, failed }) => [
    ...(ended < asked ? [`${ended} of ${asked} had ended when it was cut off after ${duration(seconds * 1000)}`] : []),
    ...(failed > 0 ? [`${failed} of ${asked} failed`] : []),
  ]);
  const samples = turns.map(({ seconds }) => seconds);
  return {
    what: `until all ${what} have ended`,
    unit: "s",
    samples,
    ...(notes.length > 0 && { note: notes.join("; ") }),
  };
}

/** Says something also of a turn that was cut off. */
function rateFigure(what: string, turns: readonly Turn[]): Figure {
  return { what: `${what} ended per second`, unit: "/s", samples: turns.map(({ ended, seconds }) => ended / seconds) };
}

async function create({ client }: Bench, side: Side, wish: Wish): Promise<void> {
  if (side === "Operation") await client.create(operations, backupOperation(wish));
  else await client.create(backups, plainBackup(wish));
}

/** Nothing is left of what was asked for before, and Velero's own queue begins anew. */
async function freshVelero({ cluster }: Bench): Promise<void> {
  const kubectl = async (...args: string[]) => {
    const { code, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
  };
  const velero = ["-n", VELERO_NAMESPACE];
  const runners = ["-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=backup-runner"];
  await kubectl("scale", "deployment/velero", ...velero, "--replicas=0");
  await waitFor(cluster, ["pods", ...velero, "-l", "deploy=velero"], "delete");
  await kubectl("delete", "operations", "--all", "--all-namespaces");
  await kubectl("delete", "jobs", ...runners);
  await waitFor(cluster, ["pods", ...runners], "delete");
  await kubectl("delete", "backups.velero.io,downloadrequests.velero.io", "--all", ...velero);
  await kubectl("scale", "deployment/velero", ...velero, "--replicas=1");
  await waitFor(cluster, ["deployment/velero", ...velero], "condition=Available");
}
